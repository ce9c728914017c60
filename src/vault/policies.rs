//! ACL policies: `sys/policies/acl`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::method::Keys;
use super::{Data, Done, Request};
use crate::names::PolicyName;
use crate::policy::Capability;

/// A policy's text.
#[derive(Debug, Clone, Deserialize)]
pub struct PolicyText {
    /// The text, as it was written.
    pub policy: String,
}

/// Every policy with its text.
#[derive(Debug, Clone, Deserialize)]
pub struct AllPolicies {
    /// The texts by name.
    pub key_info: BTreeMap<String, PolicyText>,
}

/// Reads one policy (`GET sys/policies/acl/{name}`).
pub fn read(name: &str) -> Request<Data<PolicyText>> {
    Request::read(format!("sys/policies/acl/{name}"))
}

/// Reads all policies at once (`LIST sys/policies/detailed/acl`): OpenBao 2.3 and later. Vault answers 404, and a token
/// without the rule gets 403.
pub fn read_all() -> Request<Data<AllPolicies>> {
    Request::list("sys/policies/detailed/acl")
}

/// Lists the names of all policies (`LIST sys/policies/acl`).
pub fn list() -> Request<Data<Keys>> {
    Request::list("sys/policies/acl")
}

/// Deletes a policy (`DELETE sys/policies/acl/{name}`).
pub fn delete(name: &PolicyName) -> Request<Done> {
    Request::delete(format!("sys/policies/acl/{name}"))
}

/// Writes a policy (`POST sys/policies/acl/{name}`), for which Vault wants `update` even where the policy is new.
pub fn write(name: &PolicyName, text: &str) -> Request<Done> {
    Request::write(format!("sys/policies/acl/{name}"), json!({ "policy": text })).needing(&[Capability::Update])
}
