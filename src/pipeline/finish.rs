//! Whether a take-over can be finished, looked at before it is begun.
//!
//! What is taken over goes out of its owner's inventory last. A token that may not write there would leave the role changed and
//! listed by two owners, and no later run could end that.

use super::Session;
use crate::error::{Error, Result};
use crate::fix::vaultk8s;
use crate::plan::{Object, Plan};
use crate::policy::rule_on_a_line;
use crate::vault::{read_parts, tokens};

/// Refuses a plan that takes something out of an inventory which the token may not write.
///
/// # Errors
/// Then, or when Vault doesn't say what the token may do.
pub(super) async fn can_be_finished(session: &Session, plan: &Plan) -> Result<()> {
    let client = &session.client;
    let others = plan.changes.iter().filter_map(|change| match &change.object {
        Object::Released { mount, owner } if session.config.owner.as_ref() != Some(owner) => Some((owner, mount)),
        _ => None,
    });
    for (owner, mount) in others {
        let parts = client.explained(read_parts(client, owner, mount, 0).await).await.map_err(unfinished)?;
        let paths: Vec<String> =
            parts.iter().map(|(place, _)| format!("sys/policies/acl/{}", place.policy())).collect();
        let allowed = client.send(&tokens::capabilities_self(&paths)).await;
        let allowed = client.explained(allowed).await.map_err(unfinished)?.data;
        let may_write = |path: &&String| {
            allowed.get(*path).is_some_and(|all| all.iter().any(|one| one == "update" || one == "root"))
        };
        if let Some(path) = paths.iter().find(|path| !may_write(path)) {
            return Err(Error::failed(format!(
                "No changes made: the token may not take what would be taken over out of the inventory of the owner {owner} \
                 for auth/{mount}"
            ))
            .forbidden()
            .remedy(format!(
                "add this rule to a policy of the token: {}; {} prints it with the others",
                rule_on_a_line(path, ["read", "update"]),
                vaultk8s("render operator-policy").flag("--take-over", owner.as_str()).shown()
            ))
            .remedy("or let it be run by somebody who may write that inventory"));
        }
    }
    Ok(())
}

fn unfinished(error: Error) -> Error {
    error.context("No changes made: nobody can tell whether the take-over could be finished")
}
