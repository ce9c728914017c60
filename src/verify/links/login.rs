//! The login itself: Vault's answer, translated.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::vault::{AuthMethod, LoginAuth, VaultError, tokens};
use crate::verify::catalogue::{LOGIN, POLICIES};
use crate::verify::finding::{Finding, Status, list, sentence};
use crate::verify::links::identity::{Entity, entity};
use crate::verify::links::reviewer::reviewers;
use crate::verify::links::role::outside;
use crate::verify::links::token_review::reviewed;
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The login and what it carries.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(LOGIN, login), row!(POLICIES, policies)];

async fn login(scene: &RoleScene) -> Finding {
    if !scene.logins {
        return Finding::skipped("nobody is to log in (--no-login)");
    }
    let mount = &scene.mount.path;
    let Some(login) = scene.login().await else { return Finding::skipped("there is no token to log in with") };
    let error = match login {
        Ok(login) => return Finding::passed(format!("auth/{mount}/login gave a token for {} s", login.lease_duration)),
        Err(error) => error,
    };
    match error {
        VaultError::Forbidden { .. } if outside(scene).await => {
            Finding::skipped("the role takes logins only from certain addresses, and this is elsewhere")
        }
        VaultError::Forbidden { .. } if bare(error) => match entity(scene).await {
            Ok(Some(entity)) if entity.disabled => disabled(scene, &entity),
            entity => only_vault_can_tell(scene, &entity).await,
        },
        error => translated(scene, error).await,
    }
}

/// Whether the server says no more than that it refuses.
pub(in crate::verify) fn bare(error: &VaultError) -> bool {
    error.errors().iter().all(|said| said.trim() == "permission denied")
}

fn disabled(scene: &RoleScene, entity: &Entity) -> Finding {
    Finding::failed("the identity entity of the account is disabled in Vault")
        .with("the entity", format!("{} ({})", entity.name, entity.id))
        .with("its `disabled`", "true")
        .why("Vault refuses every login and every token of such an entity, with a bare `permission denied`")
        .run(
            "enable it, if nobody disabled it on purpose",
            format!("{} write identity/entity/id/{} disabled=false", scene.mount.vault.cli(), entity.id),
        )
}

/// Everything that can be seen from here is in order, and Vault refuses without a reason: what remains is what only Vault
/// itself can tell apart.
async fn only_vault_can_tell(scene: &RoleScene, entity: &Result<Option<Entity>, String>) -> Finding {
    let finding = Finding::failed(
        "Vault refuses the login with a bare `permission denied`, for a cause that only Vault itself can tell",
    );
    let finding = match entity {
        Ok(Some(entity)) => finding.with("excluded", format!("the identity entity {} is not disabled", entity.name)),
        Ok(None) => finding.with("excluded", "the account has no identity entity that could be disabled"),
        Err(why) => finding
            .with("remains", format!("the identity entity of the account may be disabled; it was not seen: {why}")),
    };
    if scene.mount.method().await == Some(AuthMethod::Kubernetes) {
        only_vault_can_review(scene, finding).await
    } else {
        refused_at_a_jwt_mount(scene, finding).await
    }
}

/// At a `kubernetes` mount it is the review that Vault has made, which can be made from here as well, but for Vault's copy of
/// the reviewer's token and the way from Vault to the host.
async fn only_vault_can_review(scene: &RoleScene, finding: Finding) -> Finding {
    let mount = &scene.mount;
    let host = mount.kubernetes_config().await.map_or("the mount's host", |config| config.kubernetes_host.as_str());
    let review = reviewed(scene).await;
    let finding = if review.status == Status::Passed {
        finding.with(
            "excluded",
            format!(
                "host, CA, audience, and the reviewer in the cluster: asked from here, {} accepts the token",
                review.detail
            ),
        )
    } else {
        finding.with("not excluded", format!("host, CA, audience and reviewer: {}", review.detail))
    };
    let finding = finding
        .with("remains", "Vault has another reviewer's token than the cluster: an old, expired or foreign one, which can't be read back")
        .with("remains", format!("Vault can't reach {host} from where it runs, or resolves it to another address"))
        .why("the cause is in the server's log alone (at level debug): `login unauthorized`, with the API server's words");
    if mount.reviewer.is_none() && mount.source.bootstrap().is_none() {
        // Setting the mount up would make a second reviewer beside one that nobody has looked at.
        let who = reviewers(mount).await;
        return finding
            .with("remains", "the reviewer or its Secret was deleted, or it may not review tokens (ClusterRole system:auth-delegator)")
            .with("service accounts that may review tokens (ClusterRole system:auth-delegator)", who)
            .to_do("name who reviews tokens for Vault, so that it is looked at: --reviewer NAMESPACE/NAME, or --reviewer-token client")
            .to_do(format!("or try from Vault's own host: `curl --cacert ca.crt {host}/version`"));
    }
    let remedy = match mount.source.bootstrap() {
        Some(remedy) => Some(remedy),
        None => super::mount::hand_over(mount).await,
    };
    finding
        .mend([remedy.unwrap_or_else(|| super::mount::remake(mount, AuthMethod::Kubernetes))])
        .to_do(format!("if that does not help, try from Vault's own host: `curl --cacert ca.crt {host}/version`"))
}

/// At a `jwt` mount Vault gives its reasons, but for a mount that isn't there, and for what stands in front of it.
async fn refused_at_a_jwt_mount(scene: &RoleScene, finding: Finding) -> Finding {
    let mount = &scene.mount;
    let path = &mount.path;
    let of = |readable: bool| if readable { "excluded" } else { "not seen, so not excluded" };
    let finding = finding
        .with(of(mount.jwt_config().await.is_some()), format!("issuer and keys of auth/{path}"))
        .with(of(scene.held().await.is_some()), format!("audience and claims of the role {}", scene.name));
    let finding = match mount.listed().await {
        Some(_) => finding,
        None => finding.with("remains", format!("there is no mount at auth/{path}/ in this namespace")),
    };
    finding
        .with("remains", "a quota, a proxy or an address rule in front of Vault")
        .why("Vault answers a login at a mount that isn't there in the same way")
        .to_do("look at the server's log, or run this with a token that may read sys/auth")
}

/// The server's words say which comparison failed; the values that it compared are here.
async fn translated(scene: &RoleScene, error: &VaultError) -> Finding {
    let (mount, role) = (&scene.mount, &scene.name);
    let said = error.errors().join("; ");
    let finding =
        Finding::failed("Vault refuses the login").with("the server says", sentence(&Error::from(error.clone())));
    let Ok(token) = scene.token().await else { return finding };
    let claims = &token.claims;
    let finding = finding
        .with("the token's iss", claims.issuer.clone())
        .with("the token's sub", claims.subject.clone())
        .with("the token's aud", claims.audiences.0.join(", "));
    let remake = match mount.method().await {
        Some(method) => vec![super::mount::remake(mount, method)],
        None => Vec::new(),
    };
    if ["expired", "not yet valid", "issued in the future"].iter().any(|words| said.contains(words)) {
        return finding.to_do("look at the clocks of Vault and of the cluster, and present a new token");
    }
    if said.contains("namespace not found") {
        return finding.to_do("correct the namespace of Vault (--namespace, VAULT_NAMESPACE, `vault.namespace`)");
    }
    if said.contains("audience") {
        return finding
            .to_do("let the consumer ask for the audience that the role takes, or correct the role's audience");
    }
    if said.contains("(iss)") || said.contains("signature") || said.contains("algorithm") || said.contains("load") {
        return finding.mend(remake);
    }
    if said.contains("could not be found") || said.contains("invalid role name") {
        return finding
            .to_do(format!("look whether {role} is on auth/{}: `vault list auth/{}/role`", mount.path, mount.path));
    }
    if said.contains("claim") || said.contains("not authorized") {
        return finding.to_do("correct whom the role is bound to: `serviceAccounts` and `boundClaims`");
    }
    error.remedies().into_iter().fold(finding, Finding::to_do)
}

async fn policies(scene: &RoleScene) -> Finding {
    let Some((login, _)) = scene.logged_in().await else { return Finding::skipped("nobody logged in") };
    let has: BTreeSet<&str> = login.token_policies.iter().map(String::as_str).collect();
    let expected = expected_policies(scene).await;
    let identity = login.identity_policies.as_deref().unwrap_or_default();
    if let Some(expected) = &expected
        && has != expected.iter().map(String::as_str).collect()
    {
        let finding = Finding::failed("the login carries other policies than the role names")
            .with("the login carries", list(has))
            .with("it should", list(expected.iter().map(String::as_str)))
            .why("what a login may do is what its policies say, those that it lacks or has too many of included");
        return match scene.mount.source.bootstrap() {
            Some(remedy) => finding.mend([remedy]),
            None => finding.to_do("look whether somebody else changes the role"),
        };
    }
    if identity.is_empty() {
        return Finding::passed(list(has));
    }
    Finding::warning(format!("{}, and its identity adds {}", list(has), list(identity.iter().map(String::as_str))))
        .why("nothing in the role shows these")
        .run(
            "look at the entity and its groups",
            format!("{} read identity/entity/id/{}", scene.mount.vault.cli(), login.entity_id),
        )
}

/// The policies that a login should carry: as the file says, else as the role in Vault does.
async fn expected_policies(scene: &RoleScene) -> Option<BTreeSet<String>> {
    let (mut names, no_default): (BTreeSet<String>, bool) = if let Some(role) = &scene.expected {
        (role.policies.iter().map(ToString::to_string).collect(), role.token.no_default_policy)
    } else if let Some(document) = scene.held().await {
        let token = document.token();
        (token.token_policies.iter().map(|name| name.to_lowercase()).collect(), token.token_no_default_policy)
    } else {
        return None;
    };
    if !no_default {
        names.insert("default".to_owned());
    }
    Some(names)
}

/// Ends the test's token: by itself, or by the operator where it may not.
pub(in crate::verify) async fn revoke(scene: &RoleScene, login: &LoginAuth) -> Finding {
    revoke_token(&scene.mount.vault.client, login).await
}

/// Ends a login's token: by itself, or by its accessor with the operator's token where it may not.
pub(in crate::verify) async fn revoke_token(operator: &crate::vault::Client, login: &LoginAuth) -> Finding {
    if login.token_type == "batch" {
        return Finding::passed("a batch token leaves nothing behind; it ends by itself");
    }
    if operator.with_token(login.client_token.clone()).send(&tokens::revoke_self()).await.is_ok() {
        return Finding::passed("by itself");
    }
    match operator.send(&tokens::revoke_accessor(&login.accessor)).await {
        Ok(_) => Finding::passed("by its accessor, with the operator's token"),
        Err(error) => {
            let error = Error::from(operator.explain_forbidden(error).await);
            Finding::warning(format!(
                "the test's token could not be revoked and lives for {} s: {}",
                login.lease_duration,
                sentence(&error)
            ))
            .to_do("grant the operator's token: path \"auth/token/revoke-accessor\" { capabilities = [\"update\"] }")
        }
    }
}
