//! The role: is it there, for tokens, for an account that exists, and from this machine's address?

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::fix::{Command, vaultk8s};
use crate::model::{AuthMethod, RoleDocument};
use crate::names::MountPath;
use crate::verify::catalogue::{ACCOUNT, BOUND_CIDRS, ROLE_EXISTS, ROLE_TYPE};
use crate::verify::cidr;
use crate::verify::facts::cluster::{AccountUid, NamespaceLabels};
use crate::verify::facts::mount::{HasRole, RoleNames};
use crate::verify::facts::network::OwnAddress;
use crate::verify::facts::{Known, Knows, all, some};
use crate::verify::finding::{Finding, Remedy, shortened};
use crate::verify::links::by_file;
use crate::verify::links::no_token::no_token;
use crate::verify::scene::RoleScene;
use crate::verify::selected;
use crate::verify::walk::{Row, row};

/// The checks of the role that need no token.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] =
    &[row!(ROLE_EXISTS, exists), row!(ROLE_TYPE, kind), row!(ACCOUNT, account), row!(BOUND_CIDRS, cidrs)];

pub(in crate::verify) fn unread() -> Finding {
    Finding::unseen("the role can't be read with this token")
}

/// The fields of a role that a POST resets where it leaves them out, as they are.
pub(super) fn kept(document: &RoleDocument) -> Vec<(&'static str, String)> {
    match document {
        RoleDocument::Jwt(role) => {
            let kind = if role.bound_claims_type.is_empty() { "string" } else { role.bound_claims_type.as_str() };
            vec![("role_type", "jwt".to_owned()), ("bound_claims_type", kind.to_owned())]
        }
        RoleDocument::Kubernetes(role) => Some(role.bound_service_account_namespace_selector.clone())
            .filter(|selector| !selector.is_empty())
            .map(|selector| ("bound_service_account_namespace_selector", selector))
            .into_iter()
            .collect(),
    }
}

/// What makes the role what it should be: the file, where Vault has drifted from it; else a change of these fields alone,
/// beside those that Vault would reset.
pub(super) fn set(scene: &RoleScene, fields: &[(&str, &str)]) -> Known<Remedy> {
    if let Some(remedy) = by_file::role(scene, "the role")? {
        return Ok(remedy);
    }
    let kept = scene.held()?.map(kept).unwrap_or_default();
    let kept = kept.iter().map(|(field, value)| (*field, value.as_str()));
    let kept = kept.filter(|(field, _)| !fields.iter().any(|(other, _)| other == field));
    let write = scene.mount.vault.cli().write(&path_of(scene));
    let command = kept.chain(fields.iter().copied()).fold(write, |write, (field, value)| write.field(field, value));
    Ok(Remedy { text: "change the role".to_owned(), command: Some(command) })
}

/// The command that changes fields of the role, some of them more than a word, beside those that Vault would reset.
pub(super) fn set_whole(scene: &RoleScene, document: &RoleDocument, fields: Map<String, Value>) -> Command {
    let kept = kept(document).into_iter().map(|(field, value)| (field.to_owned(), value.into()));
    let mut body: Map<String, Value> = kept.collect();
    body.extend(fields);
    scene.mount.vault.cli().write_json(&path_of(scene), &Value::Object(body).to_string())
}

/// Where Vault has the role.
pub(super) fn path_of(scene: &RoleScene) -> String {
    format!("auth/{}/role/{}", scene.mount.path, scene.name)
}

fn exists(scene: &RoleScene) -> Known<Finding> {
    let (mount, role) = (&scene.mount.path, &scene.name);
    match scene.document()? {
        Ok(Some(_)) => return Ok(Finding::passed(format!("auth/{mount}/role/{role}"))),
        Ok(None) if scene.mount.method()?.is_none() => {
            return Ok(Finding::unseen(
                "of which type the mount is can't be seen with this token, and so not what its roles are",
            )
            .to_do("grant the token: path \"sys/auth\" { capabilities = [\"read\"] }"));
        }
        Ok(None) => {}
        Err(error) => return scene.mount.vault.refused(error),
    }
    let elsewhere = other_mounts_with(scene)?;
    let says = match scene.mount.method()? {
        Some(AuthMethod::Kubernetes) => format!("`invalid role name \"{role}\"`"),
        _ => format!("`role \"{role}\" could not be found`"),
    };
    let finding = Finding::failed(format!("there is no role {role} on auth/{mount}/"))
        .with("the role that is asked for", role.to_string())
        .with("roles that are there", roles_of(scene)?)
        .why(format!("the server's own message is {says}"));
    let finding =
        if elsewhere.is_empty() { finding } else { finding.with("a role of that name is on", elsewhere.join(", ")) };
    if let Some(remedy) = scene.mount.source.bootstrap() {
        return Ok(finding.mend([remedy]));
    }
    let finding = match elsewhere.first() {
        Some(mount) => finding.to_do(format!("log in at {mount}: --mount, and the store's mount path")),
        None => finding,
    };
    let account = scene.account.as_ref().map_or_else(|| "NAMESPACE/NAME".to_owned(), ToString::to_string);
    let audience = presented_audience(scene)?.unwrap_or("AUDIENCE");
    let command = vaultk8s("role").name_with(role.as_str(), |command| {
        let command = command.flag("--mount", mount.as_str()).flag("--service-account", &account);
        let command = command.fixed("--policy POLICY").flag("--audience", audience);
        command.args(scene.mount.vault.flags().iter().map(String::as_str))
    });
    Ok(finding
        .to_do("correct --role, and the store's `role`")
        .to_do(format!("or make it, with the policy that its logins are to have: {}", command.shown())))
}

/// The audience of the token that logs in.
pub(super) fn presented_audience(scene: &RoleScene) -> Known<Option<&str>> {
    Ok(some!(scene.token()?.as_ref().ok()).claims.audiences.0.first().map(String::as_str))
}

/// The roles of the mount, for people.
fn roles_of(scene: &RoleScene) -> Known<String> {
    Ok(match scene.facts().get(&RoleNames { mount: scene.mount.path.clone() })? {
        Ok(Some(names)) => shortened(&names.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Ok(None) | Err(_) => "they can't be listed with this token".to_owned(),
    })
}

/// The other mounts of this method that have a role of this name.
fn other_mounts_with(scene: &RoleScene) -> Known<Vec<String>> {
    let (Ok(mounts), Some(method)) = (scene.mount.vault.auth_mounts()?, scene.mount.method()?) else {
        return Ok(Vec::new());
    };
    let others = mounts.iter().filter(|(_, mount)| mount.kind == method.as_str()).filter_map(|(path, _)| {
        path.trim_end_matches('/').parse::<MountPath>().ok().filter(|path| *path != scene.mount.path)
    });
    let looked = others.map(|mount| {
        let has = *scene.facts().get(&HasRole { mount: mount.clone(), name: scene.name.clone() })?;
        Ok(has.then(|| format!("auth/{mount}")))
    });
    let found: Vec<Option<String>> = all(looked)?;
    Ok(found.into_iter().flatten().collect())
}

fn kind(scene: &RoleScene) -> Known<Finding> {
    Ok(match scene.held()? {
        Some(RoleDocument::Jwt(role)) if role.role_type != "jwt" => {
            Finding::failed(format!("the role is of type {}, for people with browsers", role.role_type))
                .with("the role's role_type", role.role_type.clone())
                .with("a role for tokens has", "jwt")
                .why(
                    "`role with oidc role_type is not allowed`; a role that is written without `role_type` becomes one",
                )
                .mend([set(scene, &[("role_type", "jwt")])?])
        }
        Some(_) => Finding::passed("it takes tokens"),
        None => unread(),
    })
}

/// There is nobody to log in as, and why.
pub(super) fn nobody(scene: &RoleScene) -> Known<Finding> {
    Ok(Finding::skipped(match &scene.pattern {
        Some(pattern) => format!("{pattern} is a pattern: it names nobody to log in as"),
        None if scene.labelled.is_some() => "nobody was found who has the labels that let in".to_owned(),
        // The role would tell, if it could be read.
        None if scene.expected.is_none() && scene.held()?.is_none() => {
            return Ok(Finding::unseen("who logs in is not known: name it with --service-account"));
        }
        None if scene.is_presented() => "the token that was brought along is no service account's".to_owned(),
        None if scene.mount.cluster.issuer.is_some() || scene.not_for_it.is_some() => no_token(scene),
        None => "the role names no service account, only claims: there is nobody to log in as".to_owned(),
    }))
}

fn account(scene: &RoleScene) -> Known<Finding> {
    let Some(account) = &scene.account else {
        return match &scene.labelled {
            Some(labelled) => selected::nobody(scene, labelled),
            None => nobody(scene),
        };
    };
    let Some(connection) = scene.mount.cluster.connected() else {
        return Ok(Finding::skipped("the cluster can't be reached from here"));
    };
    let cluster = &scene.mount.cluster.name;
    let there = scene.facts().get(&AccountUid { cluster: cluster.clone(), account: account.clone() })?;
    Ok(match there {
        Ok(Some(_)) => Finding::passed(match &scene.labelled {
            Some(labelled) => format!("{account}{}", selected::beside(scene, labelled)?),
            None => account.to_string(),
        }),
        Ok(None) => {
            let labels = NamespaceLabels { cluster: cluster.clone(), namespace: account.namespace.clone() };
            let namespace_missing = matches!(scene.facts().get(&labels)?, Ok(None));
            let kubectl = scene.mount.cluster.kubectl();
            let create = kubectl.clone().within(&account.namespace).run("create serviceaccount").name(&account.name);
            let (text, command) = if namespace_missing {
                let first = kubectl.run("create namespace").name(&account.namespace);
                ("create it, and its namespace", first.then(&create))
            } else {
                ("create it", create)
            };
            Finding::failed(format!("the service account {account} does not exist"))
                .with("the cluster that was looked at", format!("{} ({})", connection.name(), connection.server()))
                .why("nobody can log in as it, and its consumer can't run")
                .run(text, command)
                .to_do("or correct `serviceAccounts` of the role (--service-account), or the cluster (--context)")
        }
        Err(error) => Finding::unseen_because(error),
    })
}

fn cidrs(scene: &RoleScene) -> Known<Finding> {
    let Some(document) = scene.held()? else { return Ok(unread()) };
    let bound = &document.token().token_bound_cidrs;
    if bound.is_empty() {
        return Ok(Finding::passed("it names no addresses"));
    }
    let from = own_address(scene)?;
    let shown = from.map_or_else(|| "not known".to_owned(), |from| from.to_string());
    if !outside(scene)? {
        return Ok(Finding::passed(format!("{}, and this is {shown}", bound.join(", "))));
    }
    let meant = scene.expected.as_ref().is_some_and(|role| {
        let expected: Vec<String> = role.token.bound_cidrs.iter().map(|cidr| cidr::plain(cidr)).collect();
        bound.iter().all(|bound| expected.contains(&cidr::plain(bound)))
    });
    let drifted = scene.expected.is_some() && !meant;
    let finding = if drifted { Finding::failed } else { Finding::warning };
    let finding = finding("the role takes logins only from other addresses than this machine's")
        .with("the role's token_bound_cidrs", bound.join(", "))
        .with("this machine's address, as it reaches Vault", shown)
        .why("from anywhere else the login itself is refused, with a bare `permission denied`");
    if drifted {
        return Ok(finding.mend(by_file::role(scene, "`boundCidrs` of the role")?));
    }
    Ok(finding
        .to_do(format!(
            "run this where the consumer runs, or look whether the addresses are those that Vault sees: {BEHIND}"
        ))
        .to_do(SEEN_ADDRESS))
}

/// Whose address Vault sees.
pub(super) const BEHIND: &str = "behind a load balancer or a proxy it sees that one's, for all who log in, unless its listener trusts X-Forwarded-For";

/// What to do where Vault sees the address of something in between.
pub(super) const SEEN_ADDRESS: &str = "bind the role (`boundCidrs`) to the addresses that Vault sees, which its audit log has as `remote_address`; or let Vault's \
     listener trust the balancer's X-Forwarded-For (`x_forwarded_for_authorized_addrs`)";

/// The addresses from which alone the role takes logins, where it does that.
pub(super) fn bound_addresses(scene: &RoleScene) -> Known<Option<String>> {
    let bound = scene.held()?.map(|document| document.token().token_bound_cidrs.join(", "));
    Ok(bound.filter(|bound| !bound.is_empty()))
}

/// Whether the role takes logins only from other addresses than this machine's.
pub(super) fn outside(scene: &RoleScene) -> Known<bool> {
    let Some(document) = scene.held()? else { return Ok(false) };
    let bound = &document.token().token_bound_cidrs;
    let here = |from| bound.iter().any(|bound| cidr::contains(bound, from));
    Ok(!bound.is_empty() && !own_address(scene)?.is_some_and(here))
}

/// The address that this machine has on its way to Vault.
fn own_address(scene: &RoleScene) -> Known<Option<IpAddr>> {
    scene.facts().get(&OwnAddress).copied()
}
