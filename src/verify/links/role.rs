//! The role: is it there, for tokens, for an account that exists, and from this machine's address?

use std::net::UdpSocket;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::Api;
use serde_json::{Map, Value};

use crate::cluster::refused_by;
use crate::error::Error;
use crate::vault::{AuthMethod, RoleDocument, roles};
use crate::verify::catalogue::{ACCOUNT, BOUND_CIDRS, NOBODY_ELSE, ROLE_EXISTS, ROLE_TYPE};
use crate::verify::cidr;
use crate::verify::finding::{Finding, Remedy, quoted, shortened};
use crate::verify::links::nobody_else::nobody_else;
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The checks of the role that need no token.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[
    row!(ROLE_EXISTS, exists),
    row!(ROLE_TYPE, kind),
    row!(ACCOUNT, account),
    row!(BOUND_CIDRS, cidrs),
    row!(NOBODY_ELSE, nobody_else),
];

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
pub(super) async fn set(scene: &RoleScene, fields: &[(&str, &str)]) -> Remedy {
    if let Some(remedy) = scene.mount.source.bootstrap() {
        return remedy;
    }
    let kept = scene.held().await.map(kept).unwrap_or_default();
    let kept = kept.iter().map(|(field, value)| (*field, value.as_str()));
    let (mount, role) = (quoted(scene.mount.path.as_str()), quoted(scene.name.as_str()));
    let mut command = format!("{} write auth/{mount}/role/{role}", scene.mount.vault.cli());
    for (field, value) in
        kept.filter(|(field, _)| !fields.iter().any(|(other, _)| other == field)).chain(fields.iter().copied())
    {
        command.push(' ');
        command.push_str(&quoted(&format!("{field}={value}")));
    }
    Remedy { text: "change the role".to_owned(), command: Some(command) }
}

/// The command that changes fields of the role, some of them more than a word, beside those that Vault would reset.
pub(super) fn set_whole(scene: &RoleScene, document: &RoleDocument, fields: Map<String, Value>) -> String {
    let kept = kept(document).into_iter().map(|(field, value)| (field.to_owned(), value.into()));
    let mut body: Map<String, Value> = kept.collect();
    body.extend(fields);
    let (mount, role) = (quoted(scene.mount.path.as_str()), quoted(scene.name.as_str()));
    let (body, vault) = (quoted(&Value::Object(body).to_string()), scene.mount.vault.cli());
    format!("printf %s {body} | {vault} write auth/{mount}/role/{role} -")
}

async fn exists(scene: &RoleScene) -> Finding {
    let (mount, role) = (&scene.mount.path, &scene.name);
    match scene.document().await {
        Ok(Some(_)) => return Finding::passed(format!("auth/{mount}/role/{role}")),
        Ok(None) if scene.mount.method().await.is_none() => {
            return Finding::unseen(
                "of which type the mount is can't be seen with this token, and so not what its roles are",
            )
            .to_do("grant the token: path \"sys/auth\" { capabilities = [\"read\"] }");
        }
        Ok(None) => {}
        Err(error) => return Finding::of_vault(&scene.mount.vault.client, error.clone()).await,
    }
    let elsewhere = other_mounts_with(scene).await;
    let says = match scene.mount.method().await {
        Some(AuthMethod::Kubernetes) => format!("`invalid role name \"{role}\"`"),
        _ => format!("`role \"{role}\" could not be found`"),
    };
    let finding = Finding::failed(format!("there is no role {role} on auth/{mount}/"))
        .with("the role that is asked for", role.to_string())
        .with("roles that are there", roles_of(scene).await)
        .why(format!("the server's own message is {says}"));
    let finding =
        if elsewhere.is_empty() { finding } else { finding.with("a role of that name is on", elsewhere.join(", ")) };
    if let Some(remedy) = scene.mount.source.bootstrap() {
        return finding.mend([remedy]);
    }
    let finding = match elsewhere.first() {
        Some(mount) => finding.to_do(format!("log in at {mount}: --mount, and the store's mount path")),
        None => finding,
    };
    let account = scene.account.as_ref().map_or_else(|| "NAMESPACE/NAME".to_owned(), ToString::to_string);
    let audience = presented_audience(scene).await.unwrap_or("AUDIENCE");
    let flags = scene.mount.vault.flags();
    let [role, mount, audience] = [role.as_str(), mount.as_str(), audience].map(quoted);
    finding.to_do("correct --role, and the store's `role`").to_do(format!(
        "or make it, with the policy that its logins are to have: `vaultk8s role {role} --mount {mount} --service-account {account} --policy POLICY --audience {audience}{flags}`"
    ))
}

/// The audience of the token that logs in.
pub(super) async fn presented_audience(scene: &RoleScene) -> Option<&str> {
    scene.token().await.as_ref().ok()?.claims.audiences.0.first().map(String::as_str)
}

/// The roles of the mount, for people.
async fn roles_of(scene: &RoleScene) -> String {
    match roles::list(&scene.mount.vault.client, &scene.mount.path).await {
        Ok(Some(names)) => shortened(&names.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Ok(None) | Err(_) => "they can't be listed with this token".to_owned(),
    }
}

/// The other mounts of this method that have a role of this name.
async fn other_mounts_with(scene: &RoleScene) -> Vec<String> {
    let (Ok(mounts), Some(method)) = (scene.mount.vault.auth_mounts().await, scene.mount.method().await) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (path, mount) in mounts {
        let path = path.trim_end_matches('/');
        if mount.kind != method.as_str() || path == scene.mount.path.as_str() {
            continue;
        }
        let Ok(path) = path.parse() else { continue };
        let request = crate::vault::method::read_role::<serde::de::IgnoredAny>(&path, scene.name.as_str());
        if matches!(scene.mount.vault.client.find(&request).await, Ok(Some(_))) {
            found.push(format!("auth/{path}"));
        }
    }
    found
}

async fn kind(scene: &RoleScene) -> Finding {
    match scene.held().await {
        Some(RoleDocument::Jwt(role)) if role.role_type != "jwt" => {
            Finding::failed(format!("the role is of type {}, for people with browsers", role.role_type))
                .with("the role's role_type", role.role_type.clone())
                .with("a role for tokens has", "jwt")
                .why(
                    "`role with oidc role_type is not allowed`; a role that is written without `role_type` becomes one",
                )
                .mend([set(scene, &[("role_type", "jwt")]).await])
        }
        Some(_) => Finding::passed("it takes tokens"),
        None => unread(),
    }
}

/// There is nobody to log in as, and why.
pub(super) async fn nobody(scene: &RoleScene) -> Finding {
    Finding::skipped(match &scene.pattern {
        Some(pattern) => format!("{pattern} is a pattern: it names nobody to log in as"),
        // The role would tell, if it could be read.
        None if scene.expected.is_none() && scene.held().await.is_none() => {
            return Finding::unseen("who logs in is not known: name it with --service-account");
        }
        None => "the role names no service account, only claims: there is nobody to log in as".to_owned(),
    })
}

async fn account(scene: &RoleScene) -> Finding {
    let Some(account) = &scene.account else { return nobody(scene).await };
    let Some(connection) = scene.mount.cluster.connected() else {
        return Finding::skipped("the cluster can't be reached from here");
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(connection.client(), &account.namespace);
    match accounts.get_opt(&account.name).await {
        Ok(Some(_)) => Finding::passed(account.to_string()),
        Ok(None) => {
            let namespaces: Api<Namespace> = Api::all(connection.client());
            let namespace_missing = matches!(namespaces.get_opt(&account.namespace).await, Ok(None));
            let (namespace, name) = (quoted(&account.namespace), quoted(&account.name));
            let kubectl = scene.mount.cluster.kubectl();
            let create = format!("{kubectl} -n {namespace} create serviceaccount {name}");
            let (text, command) = if namespace_missing {
                ("create it, and its namespace", format!("{kubectl} create namespace {namespace} && {create}"))
            } else {
                ("create it", create)
            };
            Finding::failed(format!("the service account {account} does not exist"))
                .with("the cluster that was looked at", format!("{} ({})", connection.name(), connection.server()))
                .why("nobody can log in as it, and its consumer can't run")
                .run(text, command)
                .to_do("or correct `serviceAccounts` of the role (--service-account), or the cluster (--context)")
        }
        Err(error) => {
            let error = refused_by(connection.server(), &format!("the service account {account}"), error);
            Finding::unseen_because(&Error::from(error))
        }
    }
}

async fn cidrs(scene: &RoleScene) -> Finding {
    let Some(document) = scene.held().await else { return unread() };
    let bound = &document.token().token_bound_cidrs;
    if bound.is_empty() {
        return Finding::passed("it names no addresses");
    }
    let from = own_address(scene);
    let shown = from.map_or_else(|| "not known".to_owned(), |from| from.to_string());
    if !outside(scene).await {
        return Finding::passed(format!("{}, and this is {shown}", bound.join(", ")));
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
        return finding.mend(scene.mount.source.bootstrap());
    }
    finding.to_do("run this where the consumer runs, or look whether the addresses are those of the cluster's nodes")
}

/// Whether the role takes logins only from other addresses than this machine's.
pub(super) async fn outside(scene: &RoleScene) -> bool {
    let Some(document) = scene.held().await else { return false };
    let bound = &document.token().token_bound_cidrs;
    let here = |from| bound.iter().any(|bound| cidr::contains(bound, from));
    !bound.is_empty() && !own_address(scene).is_some_and(here)
}

/// The address that this machine has on its way to Vault. Nothing is sent.
fn own_address(scene: &RoleScene) -> Option<std::net::IpAddr> {
    let vault = scene.mount.vault.client.address().socket_addrs(|| None).ok()?.into_iter().next()?;
    let socket = UdpSocket::bind(if vault.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
    socket.connect(vault).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
