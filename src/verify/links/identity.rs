//! The identity entity of who logs in: a login of a disabled one is refused without a reason.

use crate::model::RoleDocument;
use crate::names::ServiceAccountRef;
use crate::vault::TokenInfo;
use crate::verify::facts::login::OwnEntity;
use crate::verify::facts::vault::{Entity, EntityOf};
use crate::verify::facts::{Known, Knows, some};
use crate::verify::scene::RoleScene;

/// The entity that a login of this account belongs to; `None` where it has none yet. Else why it could not be looked up, in a sentence.
pub(super) fn entity(scene: &RoleScene) -> Known<Result<Option<&Entity>, String>> {
    let Some(alias) = alias(scene)? else {
        return Ok(Err("by which name Vault knows the account can't be seen with this token".to_owned()));
    };
    let Some(mount) = scene.mount.listed()? else {
        return Ok(Err("the mount's accessor can't be seen with this token".to_owned()));
    };
    let found = scene.facts().get(&EntityOf { alias, accessor: mount.accessor.clone() })?;
    Ok(found.as_ref().map(Option::as_ref).map_err(Clone::clone))
}

/// The entity of a login, as the login itself may read it by what servers give every token, else the operator.
pub(super) fn own_entity<'a>(scene: &'a RoleScene, login: &TokenInfo) -> Known<Option<&'a Entity>> {
    if login.entity_id.is_empty() {
        return Ok(None);
    }
    let (consumer, id) = (scene.consumer(), login.entity_id.clone());
    Ok(scene.facts().get(&OwnEntity { consumer, id, by_itself: login.num_uses == 0 })?.as_ref())
}

/// The name that the mount gives to the account: the claim that the role names, or what the configuration says of service
/// accounts.
pub(super) fn alias(scene: &RoleScene) -> Known<Option<String>> {
    let claims = &some!(scene.token()?.as_ref().ok()).claims;
    Ok(match some!(scene.held()?) {
        RoleDocument::Jwt(role) => claims.text(&role.user_claim),
        RoleDocument::Kubernetes(role) if role.alias_name_source == "serviceaccount_name" => {
            ServiceAccountRef::from_subject(&claims.subject).map(|account| account.to_string())
        }
        RoleDocument::Kubernetes(_) => claims.text("/kubernetes.io/serviceaccount/uid"),
    })
}
