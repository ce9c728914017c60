//! ACL policies: `sys/policies/acl`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::listing::Listing;
use super::request::encoded;
use super::{Client, Data, Done, Request, VaultError};
use crate::names::{PolicyName, StoredName};
use crate::policy::Capability;

/// A policy as the server has it. All but the text is OpenBao's; a write that leaves it out sets it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// The text, as it was written.
    pub policy: String,
    /// Whether a template's value may hold a slash.
    #[serde(default)]
    pub allow_slashes_in_identity_templates: bool,
    /// Whether a template's value may hold `*` and `+`.
    #[serde(default)]
    pub allow_wildcards_in_identity_templates: bool,
    /// When it ends (RFC 3339).
    #[serde(default)]
    pub expiration: Option<String>,
    /// Whether a write must name the version that it replaces.
    #[serde(default)]
    pub cas_required: bool,
    /// Its version.
    #[serde(default)]
    pub version: Option<u64>,
}

impl StoredPolicy {
    /// What it has beside its text that a policy of ours doesn't have, by field.
    pub fn extras(&self) -> Vec<(&'static str, Value)> {
        let flags = [
            ("allow_slashes_in_identity_templates", self.allow_slashes_in_identity_templates),
            ("allow_wildcards_in_identity_templates", self.allow_wildcards_in_identity_templates),
        ];
        let flags = flags.into_iter().filter(|(_, set)| *set).map(|(field, _)| (field, Value::Bool(true)));
        flags.chain(self.expiration.iter().map(|at| ("expiration", at.clone().into()))).collect()
    }

    /// The version that a write must name, where one must.
    pub fn required_cas(&self) -> Option<u64> {
        self.version.filter(|_| self.cas_required)
    }
}

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

/// Writes a policy (`POST sys/policies/acl/{name}`), for which Vault wants `update` even where the policy is new. With
/// `cas` it replaces just that version, and later writes must name theirs as well.
pub fn write(name: &PolicyName, text: &str, cas: Option<u64>) -> Request<Done> {
    let body = match cas {
        Some(version) => json!({ "policy": text, "cas": version, "cas_required": true }),
        None => json!({ "policy": text }),
    };
    Request::write(format!("sys/policies/acl/{name}"), body).needing(&[Capability::Update])
}

/// Writes a policy that nobody else wrote meanwhile: one that is `new`, or that still has this version. OpenBao refuses
/// it otherwise, with [`VaultError::Rejected`]; Vault has no versions, and takes it.
pub fn replace(name: &str, text: &str, new: bool, version: Option<u64>) -> Request<Done> {
    let body = match (new, version) {
        (true, _) => json!({ "policy": text, "cas": -1 }),
        (false, Some(version)) => json!({ "policy": text, "cas": version }),
        (false, None) => json!({ "policy": text }),
    };
    Request::write(format!("sys/policies/acl/{}", encoded(name)), body).needing(&[Capability::Update])
}
