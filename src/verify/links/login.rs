//! The login itself: Vault's answer, translated.

use std::collections::BTreeSet;

use crate::claims::is_of_a_pod;
use crate::error::Error;
use crate::fix::curl_version;
use crate::model::{AuthMethod, TokenKind, token_kind};
use crate::reach::Unreachable;
use crate::vault::tokens::{Enforcement, SecondFactor};
use crate::vault::{TokenInfo, VaultError};
use crate::verify::catalogue::{LOGIN, POLICIES};
use crate::verify::facts::login::Ended;
use crate::verify::facts::vault::{Entity, SecondFactorOf};
use crate::verify::facts::{Known, Knows, some};
use crate::verify::finding::{Finding, Remedy, Status, Weight, list, sentence};
use crate::verify::links::by_file;
use crate::verify::links::identity::entity;
use crate::verify::links::jwt::has_the_keys;
use crate::verify::links::limits::stopped;
use crate::verify::links::local_reviewer::remains;
use crate::verify::links::mount::{context_first, hand_over, remake};
use crate::verify::links::no_token::no_token;
use crate::verify::links::reviewer::{is_vaults_own, with_reviewers};
use crate::verify::links::role::{BEHIND, SEEN_ADDRESS, bound_addresses, nobody, outside};
use crate::verify::links::surplus::nothing_beyond;
use crate::verify::links::token_review::reviewed;
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The login and what it carries.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(LOGIN, login), row!(POLICIES, policies)];

pub(in crate::verify) fn login(scene: &RoleScene) -> Known<Finding> {
    if !scene.logins {
        return Ok(Finding::skipped("nobody is to log in (--no-login)"));
    }
    let mount = &scene.mount.path;
    let Some(login) = scene.login()? else { return untried(scene) };
    let error = match login {
        Ok(login) => {
            return Ok(Finding::passed(format!("auth/{mount}/login gave a token for {} s", login.lease_duration))
                .weighing(Weight::Accepted));
        }
        Err(error) => error,
    };
    Ok(match error {
        // An address that is not bound is refused without a word: what the server gives a reason for is another fault.
        VaultError::Forbidden { .. } if bare(error) && outside(scene)? => {
            Finding::skipped("the role takes logins only from certain addresses, and this is elsewhere")
        }
        VaultError::Forbidden { .. } if bare(error) => match entity(scene)? {
            Ok(Some(entity)) if entity.disabled => disabled(scene, entity),
            entity => only_vault_can_tell(scene, &entity)?,
        },
        VaultError::SecondFactor { factors, .. } => second_factor(scene, factors)?,
        error if error.is_refusal() => translated(scene, error)?,
        error => match error.limit() {
            Some(kind) => stopped(scene, error, kind, "none gets through")?,
            None => unanswered(error),
        },
    })
}

/// Why nobody logged in: there is nobody who could from here, or who runs this may not try.
fn untried(scene: &RoleScene) -> Known<Finding> {
    let wanted = scene.wants_a_pod()?;
    if !wanted.is_empty() {
        return Ok(Finding::skipped(only_a_pod_can(&wanted)));
    }
    if !scene.is_presented() && scene.account.is_none() {
        return nobody(scene);
    }
    if !scene.is_presented() && scene.mount.cluster.connected().is_none() {
        return Ok(Finding::skipped(no_token(scene)));
    }
    Ok(match scene.token()? {
        Err(error) => {
            let finding = Finding::unseen(format!("there is no token to log in with: {}", sentence(error)));
            error.remedies().into_iter().fold(finding, Finding::to_do)
        }
        Ok(_) => Finding::unseen("nobody logged in"),
    })
}

/// Why a role can't be tried with a token that is asked for from here.
pub(super) fn only_a_pod_can(claims: &[String]) -> String {
    format!(
        "it can't be tried from here: the role wants {}, which only a pod's own token has, or one that stands in a Secret; a copy of \
         such a token shows it (--jwt-file)",
        claims.join(", ")
    )
}

/// No judgement came back. That says nothing of the role, and proves it even less.
fn unanswered(error: &VaultError) -> Finding {
    let told = Error::from(error.clone());
    let finding = Finding::failed(format!("the login got no answer from Vault: {}", sentence(&told)))
        .why("Vault neither took nor refused the token, so that whether the role works is not known");
    let lost = matches!(
        error,
        VaultError::Unreachable { how: Unreachable::AnswerTimeout | Unreachable::Broken, .. }
            | VaultError::NotVault { .. }
            | VaultError::Answer { .. }
    );
    // A login isn't tried twice, because each makes a token.
    let finding = if lost {
        finding.with("left behind", "perhaps a token that nobody has seen, which lives until its TTL ends")
    } else {
        finding
    };
    told.remedies().into_iter().fold(finding, Finding::to_do).to_do("then run this again")
}

/// The token did, and Vault wants what no machine has.
fn second_factor(scene: &RoleScene, factors: &[SecondFactor]) -> Known<Finding> {
    let vault = &scene.mount.vault;
    let names: Vec<&str> = factors.iter().map(|factor| factor.enforcement.as_str()).collect();
    let mut finding = Finding::failed(format!(
        "Vault takes the token, and then wants a second factor (login MFA, enforcement {}): no service account has one, so that \
         nobody gets in",
        names.join(", ")
    ))
    .weighing(Weight::Accepted)
    .why("the answer is a success without a token (`mfa_requirement`); consumers report an empty token, or `permission denied`");
    for SecondFactor { enforcement, methods } in factors {
        let about = match scene.facts().get(&SecondFactorOf { enforcement: enforcement.clone() })? {
            Some(found) => bindings(scene, found)?,
            None => "which logins it is about can't be read with this token".to_owned(),
        };
        finding = finding.with(format!("the enforcement {enforcement} ({})", methods.join(" or ")), about);
    }
    Ok(factors.iter().fold(finding, |finding, SecondFactor { enforcement, .. }| {
        let write = vault.cli().write(&format!("identity/mfa/login-enforcement/{enforcement}"));
        finding.to_do(format!(
            "bind the enforcement {enforcement} to the people it is meant for, in place of what takes this login in: {}; or delete \
             it, if nobody needs it",
            write.fixed("mfa_method_ids=… auth_method_accessors=…").shown()
        ))
    }))
}

/// Which logins an enforcement is about; what of that is this login's comes with its reason.
fn bindings(scene: &RoleScene, enforcement: &Enforcement) -> Known<String> {
    let accessor = scene.mount.listed()?.map_or("", |mount| mount.accessor.as_str());
    let method = scene.mount.method()?.map_or("", AuthMethod::as_str);
    let path = &scene.mount.path;
    let marked = |all: &[String], own: &str, is: &str| -> Vec<String> {
        all.iter().map(|one| if one == own { format!("{one}, which is {is}") } else { one.clone() }).collect()
    };
    let parts = [
        ("all logins of the mount", marked(&enforcement.auth_method_accessors, accessor, &format!("auth/{path}"))),
        (
            "all logins of mounts of type",
            marked(&enforcement.auth_method_types, method, &format!("that of auth/{path}")),
        ),
        ("the members of the group", enforcement.identity_group_ids.clone()),
        ("the entity", enforcement.identity_entity_ids.clone()),
    ];
    let parts: Vec<String> =
        parts.into_iter().flat_map(|(what, ids)| ids.into_iter().map(move |id| format!("{what} {id}"))).collect();
    Ok(parts.join("; "))
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
            scene.mount.vault.cli().write(&format!("identity/entity/id/{}", entity.id)).fixed("disabled=false"),
        )
}

/// Everything that can be seen from here is in order, and Vault refuses without a reason: what remains is what only Vault
/// itself can tell apart.
fn only_vault_can_tell(scene: &RoleScene, entity: &Result<Option<&Entity>, String>) -> Known<Finding> {
    let finding = Finding::failed(
        "Vault refuses the login with a bare `permission denied`, for a cause that only Vault itself can tell",
    );
    let finding = match entity {
        Ok(Some(entity)) => finding.with("excluded", format!("the identity entity {} is not disabled", entity.name)),
        Ok(None) => finding.with("excluded", "the account has no identity entity that could be disabled"),
        Err(why) => finding
            .with("remains", format!("the identity entity of the account may be disabled; it was not seen: {why}")),
    };
    let bound = bound_addresses(scene)?;
    let finding = match &bound {
        Some(bound) => finding.with(
            "remains",
            format!(
                "Vault sees another address than this machine's, and the role takes logins only from {bound}: {BEHIND}"
            ),
        ),
        None => finding,
    };
    let finding = if scene.mount.method()? == Some(AuthMethod::Kubernetes) {
        only_vault_can_review(scene, finding)?
    } else {
        refused_at_a_jwt_mount(scene, finding)?
    };
    Ok(if bound.is_some() { finding.to_do(SEEN_ADDRESS) } else { finding })
}

/// At a `kubernetes` mount it is the review that Vault has made, which can be made from here as well, but for Vault's copy of
/// the reviewer's token and the way from Vault to the host.
fn only_vault_can_review(scene: &RoleScene, finding: Finding) -> Known<Finding> {
    let mount = &scene.mount;
    let host = mount.kubernetes_config()?.map_or("the mount's host", |config| config.kubernetes_host.as_str());
    if is_vaults_own(mount) {
        return Ok(remains(finding, host));
    }
    let review = reviewed(scene)?;
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
    if mount.reviewer.is_none() && mount.source.is_flags() {
        // Setting the mount up would make a second reviewer beside one that nobody has looked at.
        let finding = finding.with(
            "remains",
            "the reviewer or its Secret was deleted, or it may not review tokens (ClusterRole system:auth-delegator)",
        );
        return Ok(with_reviewers(mount, finding)
            ?
            .to_do("name who reviews tokens for Vault, so that it is looked at: --reviewer NAMESPACE/NAME, or --reviewer-token client")
            .to_do(format!("or try from Vault's own host: {}", curl_version(host).shown())));
    }
    // Where the host was asked, it is Vault's copy of the reviewer's token that remains; else the host itself may be wrong.
    let asked = review.status == Status::Passed;
    let by_hand = if asked { hand_over(mount)? } else { None };
    let finding = match mount.cluster.connected() {
        Some(connection) if review.status == Status::Unseen => {
            let detail = "Vault refuses the login with a bare `permission denied`, and what it asks the cluster can't be asked from here";
            let finding = Finding { detail: detail.to_owned(), ..finding };
            context_first(mount, finding.with("the mount asks", host).with("the cluster is at", connection.server()))
        }
        _ => finding,
    };
    Ok(finding
        .mend([by_hand.unwrap_or_else(|| remake(mount, AuthMethod::Kubernetes))])
        .to_do(format!("if that does not help, try from Vault's own host: {}", curl_version(host).shown())))
}

/// At a `jwt` mount Vault gives its reasons, but for a mount that isn't there, and for what stands in front of it.
fn refused_at_a_jwt_mount(scene: &RoleScene, finding: Finding) -> Known<Finding> {
    let mount = &scene.mount;
    let path = &mount.path;
    let of = |readable: bool| if readable { "excluded" } else { "not seen, so not excluded" };
    let finding = finding
        .with(of(mount.jwt_config()?.is_some()), format!("issuer and keys of auth/{path}"))
        .with(of(scene.held()?.is_some()), format!("audience and claims of the role {}", scene.name));
    let finding = match mount.listed()? {
        Some(_) => finding,
        None => finding.with("remains", format!("there is no mount at auth/{path}/ in this namespace")),
    };
    Ok(finding
        .with("remains", "a quota, a proxy or an address rule in front of Vault")
        .why("Vault answers a login at a mount that isn't there in the same way")
        .to_do("look at the server's log, or run this with a token that may read sys/auth"))
}

/// The server's words say which comparison failed; the values that it compared are here.
fn translated(scene: &RoleScene, error: &VaultError) -> Known<Finding> {
    let said = error.errors().join("; ");
    if scene.audience_is_guessed && said.contains("invalid audience (aud) claim") {
        return Ok(Finding::unseen(
            "which audience the role takes can't be seen with this token, and it is not the one that was tried",
        )
        .with("the server says", said)
        .to_do("name what the consumer asks for: --audience"));
    }
    // The role can't be read, and its words tell what it wants.
    let of_a_pod = said.split('"').nth(1).filter(|claim| is_of_a_pod(claim) && said.contains("is missing"));
    if let Some(claim) = of_a_pod
        && !scene.is_presented()
        && scene.expected.as_ref().is_none_or(|role| role.bound_claims.contains_key(claim))
    {
        return Ok(Finding::skipped(only_a_pod_can(&[claim.to_owned()])).with("the server says", said));
    }
    let finding =
        Finding::failed("Vault refuses the login").with("the server says", sentence(&Error::from(error.clone())));
    let Ok(token) = scene.token()? else { return Ok(finding) };
    let claims = &token.claims;
    let finding = finding
        .with("the token's iss", claims.issuer.clone())
        .with("the token's sub", claims.subject.clone())
        .with("the token's aud", list(claims.audiences.0.iter().map(String::as_str)));
    let finding = match advice(scene, &said)? {
        Some(remedy @ Remedy { command: Some(_), .. }) => context_first(&scene.mount, finding).mend([remedy]),
        Some(remedy) => finding.mend([remedy]),
        None => error.remedies().into_iter().fold(finding, Finding::to_do),
    };
    let has_command = finding.remedies.iter().any(|remedy| remedy.command.is_some());
    // What the checks don't compare may still be what somebody has changed by hand.
    let differs = by_file::role_differs(scene)? == Some(true);
    let by_file = scene.mount.source.bootstrap().filter(|_| !has_command && differs);
    Ok(finding.mend(by_file.map(|remedy| Remedy { text: "or let Vault hold what the file says".to_owned(), ..remedy })))
}

/// What to do about a reason that the server gives: the checks before have compared what they can, so that this is of what they
/// could not see, or don't know.
fn advice(scene: &RoleScene, said: &str) -> Known<Option<Remedy>> {
    let (mount, role) = (&scene.mount.path, &scene.name);
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    let text = if has(&["expired", "not yet valid", "issued in the future"]) {
        "look at the clocks of Vault and of the cluster, and present a new token".to_owned()
    } else if has(&["could not load configuration", "could not load backend configuration"]) {
        // The server's words for a mount that was enabled and nothing more.
        let remedy = remake(&scene.mount, some!(scene.mount.method()?));
        return Ok(Some(Remedy { text: format!("auth/{mount} has no configuration: {}", remedy.text), ..remedy }));
    } else if has(&["namespace not found"]) {
        "correct the namespace of Vault (--namespace, VAULT_NAMESPACE, `vault.namespace`)".to_owned()
    } else if has(&["audience"]) {
        "let the consumer ask for the audience that the role takes, or correct the role's audience".to_owned()
    } else if has(&["(iss)", "signature", "algorithm", "could not load"]) {
        // A mount that has the cluster's keys refuses a token that is not the cluster's.
        match has_the_keys(&scene.mount)? {
            Some(true) => "present another token: this one is not signed as the cluster's are".to_owned(),
            Some(false) => return Ok(Some(remake(&scene.mount, some!(scene.mount.method()?)))),
            None => "either the token is of another cluster, or isn't one, or the mount has not the issuer and keys of this cluster: \
                     look at both with credentials that may read the mount and the cluster's keys"
                .to_owned(),
        }
    } else if has(&["could not be found", "invalid role name"]) {
        let list = scene.mount.vault.cli().run("list").name(&format!("auth/{mount}/role"));
        format!("look whether {role} is on auth/{mount}: {}", list.shown())
    } else if has(&["root tokens"]) {
        "take `root` out of the role's policies: no login may give it".to_owned()
    } else if has(&["claim", "not authorized"]) {
        "correct whom the role takes: `serviceAccounts`, `boundClaims`, and the claims that name user and groups"
            .to_owned()
    } else {
        return Ok(None);
    };
    Ok(Some(Remedy { text, command: None }))
}

fn policies(scene: &RoleScene) -> Known<Finding> {
    let Some(login) = scene.logged_in()? else { return Ok(Finding::skipped("nobody logged in")) };
    let has: BTreeSet<&str> = login.token_policies.iter().map(String::as_str).collect();
    let expected = expected_policies(scene)?;
    let identity = login.identity_policies.as_deref().unwrap_or_default();
    if let Some(expected) = &expected
        && has != expected.iter().map(String::as_str).collect()
    {
        let finding = Finding::failed("the login carries other policies than the role names")
            .with("the login carries", list(has))
            .with("it should", list(expected.iter().map(String::as_str)))
            .why("what a login may do is what its policies say, those that it lacks or has too many of included");
        return Ok(match scene.mount.source.bootstrap() {
            Some(remedy) if by_file::role_differs(scene)? == Some(true) => finding.mend([remedy]),
            _ => finding.to_do("look whether somebody else changes the role"),
        });
    }
    if identity.is_empty() {
        return Ok(Finding::passed(list(has)));
    }
    let adds = list(identity.iter().map(String::as_str));
    if scene.expected.is_some() && nothing_beyond(scene)? {
        return Ok(Finding::passed(format!(
            "{}, and its identity adds {adds}, which gives nothing beyond the file",
            list(has)
        )));
    }
    Ok(Finding::warning(format!("{}, and its identity adds {adds}", list(has)))
        .why("nothing in the role shows these")
        .run(
            "look at the entity and its groups",
            scene.mount.vault.cli().read(&format!("identity/entity/id/{}", login.entity_id)),
        ))
}

/// The policies that a login should carry: as the file says, else as the role in Vault does.
fn expected_policies(scene: &RoleScene) -> Known<Option<BTreeSet<String>>> {
    let (mut names, no_default): (BTreeSet<String>, bool) = if let Some(role) = &scene.expected {
        (role.policies.iter().map(ToString::to_string).collect(), role.token.no_default_policy)
    } else if let Some(document) = scene.held()? {
        let token = document.token();
        (token.token_policies.iter().map(|name| name.to_lowercase()).collect(), token.token_no_default_policy)
    } else {
        return Ok(None);
    };
    if !no_default {
        names.insert("default".to_owned());
    }
    Ok(Some(names))
}

/// What is told of the end of the test's token.
pub(in crate::verify) fn revoked(scene: &RoleScene, ended: &Ended) -> Known<Finding> {
    let Some(login) = scene.logged_in()? else { return Ok(Finding::skipped("nobody logged in")) };
    let told = told_of_the_end(login, ended);
    // A surprise only to who did not ask for it: by the role, or by the mount as the file has it.
    let by_role = match &scene.expected {
        Some(role) => role.token.token_type.as_str().to_owned(),
        None => scene.held()?.map(|held| held.token().token_type.clone()).unwrap_or_default(),
    };
    let by_mount = scene.mount.tune.settings.get("token_type").and_then(serde_json::Value::as_str).unwrap_or_default();
    if login.is_batch() && token_kind(by_mount, &by_role) == TokenKind::Batch {
        return Ok(Finding::skipped(told.detail));
    }
    Ok(told)
}

/// What became of a login's token in the end.
pub(super) fn told_of_the_end(login: &TokenInfo, ended: &Ended) -> Finding {
    match ended {
        Ended::Batch => Finding::warning(format!(
            "nobody can revoke the test's token, because it is a batch token: it ends by itself, after {} s",
            login.lease_duration
        ))
        .why("neither the role nor the file asks for such tokens: the mount's token_type gives them (VK305)"),
        Ended::ByItself => Finding::passed("by itself"),
        Ended::ByTheOperator => Finding::passed("by its accessor, with the operator's token"),
        Ended::Alive(error) => Finding::warning(format!(
            "the test's token could not be revoked and lives for {} s: {}",
            login.lease_duration,
            sentence(error)
        ))
        .to_do("grant the operator's token: path \"auth/token/revoke-accessor\" { capabilities = [\"update\"] }"),
    }
}
