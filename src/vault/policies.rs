//! ACL policies: `sys/policies/acl`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;

use super::listing::Listing;
use super::request::encoded;
use super::{Client, Data, Done, Request, VaultError};
use crate::model::StoredPolicy;
use crate::names::StoredName;
use crate::policy::Capability;

/// Every policy with its text.
#[derive(Debug, Clone, Deserialize)]
pub struct AllPolicies {
    /// The texts by name.
    pub key_info: BTreeMap<String, StoredPolicy>,
}

/// Reads one policy (`GET sys/policies/acl/{name}`).
pub fn read(name: &str) -> Request<Data<StoredPolicy>> {
    Request::read(format!("sys/policies/acl/{}", encoded(name)))
}

/// Reads all policies at once (`LIST sys/policies/detailed/acl`): OpenBao 2.3 and later. Vault answers 404, and a token
/// without the rule gets 403. No `pagination_limit` cuts it.
pub fn read_all() -> Request<Data<AllPolicies>> {
    Request::list("sys/policies/detailed/acl")
}

/// Where the names of all policies are listed.
pub fn list() -> Listing {
    Listing::new("sys/policies/acl")
}

/// The names of all policies; `None` where the token may not list them.
///
/// # Errors
/// When Vault can't be reached or fails.
pub async fn names(client: &Client) -> Result<Option<BTreeSet<String>>, VaultError> {
    match client.list(&list()).await {
        Ok(names) => Ok(Some(names.into_iter().flatten().collect())),
        Err(VaultError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes a policy (`DELETE sys/policies/acl/{name}`).
pub fn delete(name: &StoredName) -> Request<Done> {
    Request::delete(format!("sys/policies/acl/{}", encoded(name.as_str())))
}

/// What the text of a policy takes the place of.
#[derive(Debug, Clone, Copy)]
pub enum InPlaceOf {
    /// Nothing: the policy is new.
    Nothing,
    /// The text of this version, where the server has versions.
    Version(Option<u64>),
    /// The text of this version, and later writes must name theirs as well.
    Strictly(u64),
}

/// Writes a policy (`POST sys/policies/acl/{name}`) that nobody else wrote meanwhile, for which Vault wants `update` even where the policy
/// is new. OpenBao refuses it otherwise, with [`VaultError::Rejected`]; Vault has no versions, and takes it.
pub fn write(name: &str, text: &str, in_place_of: InPlaceOf) -> Request<Done> {
    let body = match in_place_of {
        InPlaceOf::Nothing => json!({ "policy": text, "cas": -1 }),
        InPlaceOf::Version(Some(version)) => json!({ "policy": text, "cas": version }),
        InPlaceOf::Version(None) => json!({ "policy": text }),
        InPlaceOf::Strictly(version) => json!({ "policy": text, "cas": version, "cas_required": true }),
    };
    Request::write(format!("sys/policies/acl/{}", encoded(name)), body).needing(&[Capability::Update])
}
