//! The roles of a mount: what it holds, those among them that this tool has no name for, and those that can't be read.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{StreamExt, iter};
use serde::{Deserialize, Serialize};

use super::{AuthMethod, Client, JwtRole, KubernetesRole, RoleDocument, VaultError, method};
use crate::names::{MountPath, StoredName};

/// A role that is on a mount, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HeldRole {
    /// What it says.
    Read(Box<RoleDocument>),
    /// Why nobody knows what it says.
    Unread(String),
}

impl HeldRole {
    /// What it says, where it could be read.
    pub fn document(&self) -> Option<&RoleDocument> {
        match self {
            Self::Read(document) => Some(document),
            Self::Unread(_) => None,
        }
    }
}

/// The names of a mount's roles, each as the server gives it; `None` where they may not be listed.
///
/// # Errors
/// What else Vault says in place of an answer.
pub async fn list(client: &Client, mount: &MountPath) -> Result<Option<BTreeSet<StoredName>>, VaultError> {
    match client.list(&method::list_roles(mount)).await {
        Ok(names) => Ok(Some(names.into_iter().flatten().map(StoredName::new).collect())),
        Err(VaultError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of a mount's CEL roles, a second list that OpenBao's jwt method has; `None` where they may not be listed. A server
/// without such roles says the same to a token that has no rule for them: nobody can tell.
///
/// # Errors
/// What else Vault says in place of an answer.
pub async fn list_cel(
    client: &Client,
    mount: &MountPath,
    method: AuthMethod,
) -> Result<Option<BTreeSet<StoredName>>, VaultError> {
    if method != AuthMethod::Jwt {
        return Ok(Some(BTreeSet::new()));
    }
    match client.list(&method::list_cel_roles(mount)).await {
        Ok(names) => Ok(Some(names.into_iter().flatten().map(StoredName::new).collect())),
        Err(VaultError::Forbidden { .. }) => Ok(None),
        // A path that this server doesn't have.
        Err(VaultError::NotFound { .. } | VaultError::Rejected { status: 405, .. }) => Ok(Some(BTreeSet::new())),
        Err(VaultError::Rejected { status: 400, ref errors, .. })
            if errors.iter().any(|text| text.contains("unsupported")) =>
        {
            Ok(Some(BTreeSet::new()))
        }
        Err(error) => Err(error),
    }
}

/// A role, normalised; `None` where it isn't there.
///
/// # Errors
/// What Vault says in place of an answer.
pub async fn read(
    client: &Client,
    mount: &MountPath,
    method: AuthMethod,
    name: &str,
) -> Result<Option<RoleDocument>, VaultError> {
    let role = match method {
        AuthMethod::Jwt => {
            let role = client.find(&method::read_role::<JwtRole>(mount, name)).await?;
            role.map(|role| RoleDocument::Jwt(role.data))
        }
        AuthMethod::Kubernetes => {
            let role = client.find(&method::read_role::<KubernetesRole>(mount, name)).await?;
            role.map(|role| RoleDocument::Kubernetes(role.data))
        }
    };
    Ok(role.map(RoleDocument::normalised))
}

/// Reads roles that nobody here knows, so that none of them is an error: one that can't be read is told with the reason.
/// What was deleted since it was listed is left out.
///
/// # Errors
/// When Vault as a whole doesn't answer.
pub async fn read_held(
    client: &Client,
    mount: &MountPath,
    method: AuthMethod,
    names: impl IntoIterator<Item = StoredName>,
    parallelism: usize,
) -> Result<BTreeMap<StoredName, HeldRole>, VaultError> {
    let one = async |name: StoredName| {
        let role = read(client, mount, method, name.as_str()).await;
        (name, role)
    };
    let read: Vec<_> = iter(names).map(one).buffer_unordered(parallelism.max(1)).collect().await;
    let (mut held, mut absent) = (BTreeMap::new(), Vec::new());
    for (name, role) in read {
        match role {
            Ok(Some(document)) => _ = held.insert(name, HeldRole::Read(Box::new(document))),
            Ok(None) => absent.push(name),
            Err(error) => _ = held.insert(name, HeldRole::Unread(why_unread(error)?)),
        }
    }
    // Deleted meanwhile, or listed under a name that doesn't lead to it.
    if !absent.is_empty()
        && let Some(listed) = list(client, mount).await?
    {
        let there = absent.into_iter().filter(|name| listed.contains(name));
        held.extend(there.map(|name| (name, HeldRole::Unread("Vault lists it and finds no such role".to_owned()))));
    }
    Ok(held)
}

/// Why one role can't be read; an error where that isn't about the role.
fn why_unread(error: VaultError) -> Result<String, VaultError> {
    Ok(match error {
        VaultError::Forbidden { .. } => "the token may not read it".to_owned(),
        VaultError::Answer { problem, .. } => format!("its document has an unknown form: {problem}"),
        VaultError::NotVault { what, .. } => format!("reading it gave {what}"),
        VaultError::Unsendable { .. } => "its name can't be part of a URL".to_owned(),
        VaultError::NotFound { ref errors, .. }
        | VaultError::Rejected { status: 400..=428 | 430..=499, ref errors, .. } => match errors.join("; ").as_str() {
            "" => "Vault refuses to read it".to_owned(),
            said => format!("Vault refuses to read it: {said}"),
        },
        error => return Err(error),
    })
}
