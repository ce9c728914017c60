//! The identity entity of who logs in: a login of a disabled one is refused without a reason.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::names::ServiceAccountRef;
use crate::vault::{Client, Data, LoginAuth, Request, RoleDocument, VaultError};
use crate::verify::finding::sentence;
use crate::verify::scene::RoleScene;

/// An identity entity (`POST identity/lookup/entity`).
#[derive(Debug, Deserialize)]
pub(super) struct Entity {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) disabled: bool,
    /// What somebody noted of it.
    #[serde(default)]
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

/// Looks the entity up that a login of this account belongs to; `None` where it has none yet.
///
/// # Errors
/// Why it could not be looked up, in a sentence.
pub(super) async fn entity(scene: &RoleScene) -> Result<Option<Entity>, String> {
    let alias = alias(scene).await.ok_or("by which name Vault knows the account can't be seen with this token")?;
    let mount = scene.mount.listed().await.ok_or("the mount's accessor can't be seen with this token")?;
    let body = json!({ "alias_name": alias, "alias_mount_accessor": mount.accessor });
    let client = &scene.mount.vault.client;
    // Without an entity the answer is empty (204).
    match client.send(&Request::<Option<Data<Entity>>>::ask("identity/lookup/entity", body)).await {
        Ok(found) => Ok(found.map(|found| found.data)),
        Err(VaultError::NotFound { .. }) => Ok(None),
        Err(error) => Err(sentence(&Error::from(client.explain_forbidden(error).await))),
    }
}

/// The entity of a login, as the login itself may read it by what servers give every token, else the operator.
pub(super) async fn own_entity(scene: &RoleScene, login: &LoginAuth, client: &Client) -> Option<Entity> {
    if login.entity_id.is_empty() {
        return None;
    }
    let request = Request::<Data<Entity>>::read(format!("identity/entity/id/{}", login.entity_id));
    if login.num_uses == 0
        && let Ok(found) = client.send(&request).await
    {
        return Some(found.data);
    }
    Some(scene.mount.vault.client.find(&request).await.ok()??.data)
}

/// The name that the mount gives to the account: the claim that the role names, or what the configuration says of service
/// accounts.
pub(super) async fn alias(scene: &RoleScene) -> Option<String> {
    let claims = &scene.token().await.as_ref().ok()?.claims;
    match scene.held().await? {
        RoleDocument::Jwt(role) => claims.text(&role.user_claim),
        RoleDocument::Kubernetes(role) if role.alias_name_source == "serviceaccount_name" => {
            ServiceAccountRef::from_subject(&claims.subject).map(|account| account.to_string())
        }
        RoleDocument::Kubernetes(_) => claims.text("/kubernetes.io/serviceaccount/uid"),
    }
}
