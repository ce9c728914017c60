//! The role: is it there, for tokens, and does it take this service account's token and nobody else's?

use std::net::UdpSocket;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::Api;
use serde_json::Value;

use crate::cluster::refused_by;
use crate::error::Error;
use crate::names::{Audience, ServiceAccountRef};
use crate::vault::{AuthMethod, JwtRole, KubernetesRole, RoleDocument};
use crate::verify::catalogue::{
    ACCOUNT, AUDIENCE, BOUND_ACCOUNT, BOUND_CIDRS, BOUND_CLAIMS, NOBODY_ELSE, ROLE_EXISTS, ROLE_TYPE,
};
use crate::verify::finding::{Finding, Remedy, list, quoted};
use crate::verify::scene::{RoleScene, Source};
use crate::verify::walk::{Row, row};
use crate::verify::{cidr, glob};

/// The checks of the role that need no token.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[
    row!(ROLE_EXISTS, exists),
    row!(ROLE_TYPE, kind),
    row!(ACCOUNT, account),
    row!(BOUND_CIDRS, cidrs),
    row!(NOBODY_ELSE, nobody_else),
];

/// The checks of the role against the token.
pub(in crate::verify) const TOKEN_ROWS: &[Row<RoleScene>] =
    &[row!(AUDIENCE, audience), row!(BOUND_ACCOUNT, bound_account), row!(BOUND_CLAIMS, bound_claims)];

fn unread() -> Finding {
    Finding::unseen("the role can't be read with this token")
}

/// The fields of a role that a POST resets where it leaves them out, as they are.
fn kept(document: &RoleDocument) -> Vec<(&'static str, String)> {
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
    let kept = match scene.document().await {
        Ok(Some(document)) => kept(document),
        _ => Vec::new(),
    };
    let kept = kept.iter().map(|(field, value)| (*field, value.as_str()));
    let (mount, role) = (quoted(scene.mount.path.as_str()), quoted(scene.name.as_str()));
    let mut command = format!("vault write auth/{mount}/role/{role}");
    for (field, value) in
        kept.filter(|(field, _)| !fields.iter().any(|(other, _)| other == field)).chain(fields.iter().copied())
    {
        command.push(' ');
        command.push_str(&quoted(&format!("{field}={value}")));
    }
    Remedy { text: "change the role".to_owned(), command: Some(command) }
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
        .why(format!("the server's own message is {says}"));
    let finding =
        if elsewhere.is_empty() { finding } else { finding.with("a role of that name is on", elsewhere.join(", ")) };
    match scene.mount.source.bootstrap() {
        Some(remedy) => finding.mend([remedy]),
        None if !elsewhere.is_empty() => finding.to_do(format!("log in at {}: --mount, and the store's mount path", elsewhere[0])),
        None => finding.to_do(format!(
            "make it: `vaultk8s role {role} --mount {mount} --service-account NAMESPACE/NAME --policy NAME --audience vault`"
        )),
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
        let request = crate::vault::method::read_role::<serde::de::IgnoredAny>(&path, &scene.name);
        if matches!(scene.mount.vault.client.find(&request).await, Ok(Some(_))) {
            found.push(format!("auth/{path}"));
        }
    }
    found
}

async fn kind(scene: &RoleScene) -> Finding {
    match scene.document().await {
        Ok(Some(RoleDocument::Jwt(role))) if role.role_type != "jwt" => {
            Finding::failed(format!("the role is of type {}, for people with browsers", role.role_type))
                .with("the role's role_type", role.role_type.clone())
                .with("a role for tokens has", "jwt")
                .why(
                    "`role with oidc role_type is not allowed`; a role that is written without `role_type` becomes one",
                )
                .mend([set(scene, &[("role_type", "jwt")]).await])
        }
        Ok(Some(_)) => Finding::passed("it takes tokens"),
        _ => unread(),
    }
}

async fn account(scene: &RoleScene) -> Finding {
    let Some(account) = &scene.account else {
        return Finding::skipped(match &scene.pattern {
            Some(pattern) => format!("{pattern} is a pattern: it names nobody to log in as"),
            None => "the role names no service account, only claims: there is nobody to log in as".to_owned(),
        });
    };
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
            let create = format!("kubectl -n {namespace} create serviceaccount {name}");
            let (text, command) = if namespace_missing {
                ("create it, and its namespace", format!("kubectl create namespace {namespace} && {create}"))
            } else {
                ("create it", create)
            };
            Finding::failed(format!("the service account {account} does not exist"))
                .why("nobody can log in as it, and its consumer can't run")
                .run(text, command)
                .to_do("or correct `serviceAccounts` of the role (--service-account)")
        }
        Err(error) => {
            let error = refused_by(connection.server(), &format!("the service account {account}"), error);
            Finding::unseen_because(&Error::from(error))
        }
    }
}

/// The audiences of the token against the role's.
async fn audience(scene: &RoleScene) -> Finding {
    let Ok(token) = scene.token().await else { return Finding::unseen("there is no token to compare with") };
    let has = &token.claims.audiences.0;
    let (wants, words): (Vec<String>, &str) = match scene.document().await {
        Ok(Some(RoleDocument::Jwt(role))) => (role.bound_audiences.clone(), "invalid audience (aud) claim"),
        Ok(Some(RoleDocument::Kubernetes(role))) if role.audience.is_empty() => {
            return Finding::passed("the role asks for none");
        }
        Ok(Some(RoleDocument::Kubernetes(role))) => (vec![role.audience.clone()], "invalid audience (aud) claim"),
        _ => return unread(),
    };
    if has.iter().any(|has| wants.contains(has)) || (has.is_empty() && wants.is_empty()) {
        return Finding::passed(format!("{:?}", wants.join(", ")));
    }
    let (detail, why) = if wants.is_empty() {
        (
            "the role names no audience, and so refuses every token that has one",
            "`audience claim found in JWT but no audiences bound to the role`".to_owned(),
        )
    } else if has.is_empty() {
        ("the token has no audience, and the role wants one", format!("`{words}`"))
    } else {
        (
            "the token is for another audience than the role takes",
            format!("`{words}: audience claim does not match any expected audience`"),
        )
    };
    let finding = Finding::failed(detail)
        .with("the token's aud", list(has.iter().map(String::as_str)))
        .with("the role wants", list(wants.iter().map(String::as_str)))
        .why(why);
    mend_audience(scene, finding, has, &wants).await
}

async fn mend_audience(scene: &RoleScene, finding: Finding, has: &[String], wants: &[String]) -> Finding {
    let expected = scene.expected.as_ref().and_then(|role| role.audience.as_ref()).map(Audience::as_str);
    let ask = |finding: Finding| match wants.first() {
        Some(wanted) => finding.to_do(format!(
            "or let the consumer ask for {wanted}: the store's `audiences`, the role's `tokenAudiences`, --audience"
        )),
        None => finding,
    };
    match (&scene.mount.source, expected) {
        // The file agrees with the token: Vault has drifted.
        (Source::File(_) | Source::Bootstrap, Some(expected)) if has.iter().any(|has| has == expected) => {
            finding.mend(scene.mount.source.bootstrap())
        }
        (Source::File(_) | Source::Bootstrap, Some(expected)) => finding.to_do(format!(
            "let `tokenAudiences` of the role in the file contain {expected}, and the consumer ask for it; or let `audience` be one of {}",
            list(has.iter().map(String::as_str))
        )),
        (Source::File(_) | Source::Bootstrap, None) => finding.mend(scene.mount.source.bootstrap()),
        (Source::Flags { .. }, _) => {
            let Some(audience) = has.first() else { return ask(finding) };
            let field = if scene.jwt_role().await.is_some() { "bound_audiences" } else { "audience" };
            ask(finding.mend([set(scene, &[(field, audience)]).await]))
        }
    }
}

/// Who the role takes, against who logs in.
async fn bound_account(scene: &RoleScene) -> Finding {
    let Ok(token) = scene.token().await else { return Finding::unseen("there is no token to compare with") };
    let subject = &token.claims.subject;
    let (names, verdict) = match scene.document().await {
        Ok(Some(RoleDocument::Jwt(role))) => (bound_subjects(role), takes_subject(role, subject)),
        Ok(Some(RoleDocument::Kubernetes(role))) => (
            format!(
                "{} in {}",
                role.bound_service_account_names.join(", "),
                role.bound_service_account_namespaces.join(", ")
            ),
            takes_account(role, subject),
        ),
        _ => return unread(),
    };
    let words = match verdict {
        Ok(()) => return Finding::passed(subject.clone()),
        Err(words) => words,
    };
    let finding = Finding::failed("the role is bound to another service account than the one that logs in")
        .with("the token's sub", subject.clone())
        .with("the role takes", names)
        .why(format!("`{words}`"));
    if scene.expected.is_some() {
        return finding.mend(scene.mount.source.bootstrap());
    }
    let remedy = if let Ok(Some(document @ RoleDocument::Jwt(role))) = scene.document().await {
        let mut claims = role.bound_claims.clone();
        claims.insert("sub".to_owned(), Value::from(subject.clone()));
        let kept = kept(document).into_iter().map(|(field, value)| (field.to_owned(), value.into()));
        let mut fields: serde_json::Map<_, _> = kept.collect();
        fields
            .extend([("bound_subject".to_owned(), "".into()), ("bound_claims".to_owned(), serde_json::json!(claims))]);
        let fields = quoted(&Value::Object(fields).to_string());
        let (mount, role) = (quoted(scene.mount.path.as_str()), quoted(scene.name.as_str()));
        Remedy {
            text: "bind the role to this account, and to no other".to_owned(),
            command: Some(format!("echo {fields} | vault write auth/{mount}/role/{role} -")),
        }
    } else {
        let (namespace, name) = parts(subject).unwrap_or(("NAMESPACE", "NAME"));
        set(scene, &[("bound_service_account_names", name), ("bound_service_account_namespaces", namespace)]).await
    };
    finding.mend([remedy]).to_do("or log in as an account that the role takes")
}

/// Namespace and name of a service account's subject.
fn parts(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("system:serviceaccount:")?.split_once(':')
}

fn bound_subjects(role: &JwtRole) -> String {
    let mut subjects = values(role.bound_claims.get("sub"));
    if !role.bound_subject.is_empty() {
        subjects.push(role.bound_subject.clone());
    }
    if subjects.is_empty() { "anybody".to_owned() } else { subjects.join(", ") }
}

/// Whether a role takes a subject; else the server's words.
pub(in crate::verify) fn takes(role: &RoleDocument, subject: &str) -> Result<(), &'static str> {
    match role {
        RoleDocument::Jwt(role) => takes_subject(role, subject),
        RoleDocument::Kubernetes(role) => takes_account(role, subject),
    }
}

/// Whether a jwt role takes a subject; else the server's words.
fn takes_subject(role: &JwtRole, subject: &str) -> Result<(), &'static str> {
    if !role.bound_subject.is_empty() && role.bound_subject != subject {
        return Err("invalid subject (sub) claim");
    }
    let bound = values(role.bound_claims.get("sub"));
    if bound.is_empty() || bound.iter().any(|bound| matches(role, bound, subject)) {
        return Ok(());
    }
    Err("error validating claims: claim \"sub\" does not match any associated bound claim values")
}

fn matches(role: &JwtRole, bound: &str, has: &str) -> bool {
    if role.bound_claims_type == "glob" { glob::matches(bound, has) } else { bound == has }
}

/// Whether a kubernetes role takes a subject; else the server's words.
fn takes_account(role: &KubernetesRole, subject: &str) -> Result<(), &'static str> {
    let Some((namespace, name)) = parts(subject) else { return Err("service account name not authorized") };
    let any = |bound: &[String], has: &str| bound.iter().any(|bound| glob::matches(bound, has));
    if !any(&role.bound_service_account_names, name) {
        return Err("service account name not authorized");
    }
    // What a selector of labels takes only the cluster can say.
    if !any(&role.bound_service_account_namespaces, namespace)
        && role.bound_service_account_namespace_selector.is_empty()
    {
        return Err("namespace not authorized");
    }
    Ok(())
}

/// Whether a role names an account, patterns apart.
pub(super) fn lists(document: &RoleDocument, account: &ServiceAccountRef) -> bool {
    match document {
        RoleDocument::Jwt(role) => {
            let subject = account.subject();
            role.bound_subject == subject || values(role.bound_claims.get("sub")).contains(&subject)
        }
        RoleDocument::Kubernetes(role) => {
            role.bound_service_account_names.contains(&account.name)
                && role.bound_service_account_namespaces.contains(&account.namespace)
        }
    }
}

/// The values of a bound claim.
fn values(claim: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match claim {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().map(text).collect(),
        Some(value) => vec![text(value)],
    }
}

async fn bound_claims(scene: &RoleScene) -> Finding {
    let Ok(token) = scene.token().await else { return Finding::unseen("there is no token to compare with") };
    let role = match scene.document().await {
        Ok(Some(RoleDocument::Jwt(role))) => role,
        Ok(Some(RoleDocument::Kubernetes(_))) => return Finding::passed("roles of this method bind none"),
        _ => return unread(),
    };
    let user = token.claims.value(&role.user_claim);
    if user.is_none() {
        return Finding::failed(format!("the token has no claim {}, which names the identity", role.user_claim))
            .with("the role's user_claim", role.user_claim.clone())
            .why(format!("`claim \"{}\" not found in token`", role.user_claim))
            .mend([set(scene, &[("user_claim", "sub")]).await]);
    }
    for (claim, bound) in role.bound_claims.iter().filter(|(claim, _)| *claim != "sub") {
        let has = token.claims.value(claim);
        let plain = has.as_deref().map(|has| serde_json::from_str::<Value>(has).unwrap_or_default());
        let has_values = values(plain.as_ref());
        let bound = values(Some(bound));
        if has_values.iter().any(|has| bound.iter().any(|bound| matches(role, bound, has))) {
            continue;
        }
        let words = if has.is_none() { "is missing" } else { "does not match any associated bound claim values" };
        let finding = Finding::failed(format!("the role wants another {claim}"))
            .with(format!("the token's {claim}"), has.unwrap_or_else(|| "none".to_owned()))
            .with("the role wants", bound.join(", "))
            .why(format!("`error validating claims: claim \"{claim}\" {words}`"));
        return match scene.mount.source.bootstrap() {
            Some(remedy) => finding.mend([remedy]).to_do("or correct `boundClaims` of the role in the file"),
            None => finding.to_do(format!("correct `bound_claims` of auth/{}/role/{}", scene.mount.path, scene.name)),
        };
    }
    Finding::passed(match role.bound_claims.keys().filter(|claim| *claim != "sub").count() {
        0 => "it wants no others".to_owned(),
        count => super::jwt::plural(count, "claim"),
    })
}

async fn cidrs(scene: &RoleScene) -> Finding {
    let Ok(Some(document)) = scene.document().await else { return unread() };
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
    let Ok(Some(document)) = scene.document().await else { return false };
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

/// Whether the role takes more than was meant.
async fn nobody_else(scene: &RoleScene) -> Finding {
    let extra = match scene.document().await {
        Ok(Some(RoleDocument::Jwt(role))) => taken_by_jwt(scene, role),
        Ok(Some(RoleDocument::Kubernetes(role))) => taken_by_kubernetes(scene, role),
        _ => return unread(),
    };
    if extra.is_empty() {
        return Finding::passed("nothing in it takes anybody else");
    }
    let finding = Finding::failed(format!("the role takes more than was meant: {}", extra.join("; ")))
        .why("whoever gets such a token reads what was meant for somebody else");
    match scene.mount.source.bootstrap() {
        Some(remedy) => finding.mend([remedy]),
        None => finding.to_do(
            "bind it to the accounts alone: a role of its own for each namespace, and an audience; `vaultk8s role` writes such roles",
        ),
    }
}

fn taken_by_jwt(scene: &RoleScene, role: &JwtRole) -> Vec<String> {
    let mut extra = Vec::new();
    let by_claims = role.bound_claims.keys().any(|claim| claim != "sub");
    let subjects = values(role.bound_claims.get("sub"));
    if role.bound_subject.is_empty() && role.bound_claims.is_empty() {
        extra.push("every service account that gets a token for its audience".to_owned());
    }
    if let Some(expected) = &scene.expected {
        let meant: Vec<String> = expected.service_accounts.iter().map(ServiceAccountRef::subject).collect();
        if !expected.allow_globs && expected.bound_claims.is_empty() {
            extra.extend(beside(&meant, subjects.iter().cloned()));
        }
    }
    if role.bound_claims_type == "glob" && !by_claims && scene.expected.as_ref().is_none_or(|role| !role.allow_globs) {
        extra.extend(
            subjects.iter().filter(|subject| subject.contains('*')).map(|subject| format!("whoever matches {subject}")),
        );
    }
    extra.dedup();
    extra
}

fn taken_by_kubernetes(scene: &RoleScene, role: &KubernetesRole) -> Vec<String> {
    let mut extra = Vec::new();
    let globs = scene.expected.as_ref().is_some_and(|role| role.allow_globs);
    let any_audience = scene.expected.as_ref().is_some_and(|role| role.audience.is_none());
    let (names, namespaces) = (&role.bound_service_account_names, &role.bound_service_account_namespaces);
    if !globs {
        for pattern in names.iter().chain(namespaces).filter(|pattern| pattern.contains('*')) {
            extra.push(format!("whoever matches {pattern:?}"));
        }
    }
    if !role.bound_service_account_namespace_selector.is_empty() {
        extra.push(format!("namespaces with the labels {}", role.bound_service_account_namespace_selector));
    }
    if role.audience.is_empty() && !any_audience {
        extra.push("tokens that were meant for somebody else, because it names no audience".to_owned());
    }
    let meant: Vec<String> = match (&scene.expected, &scene.account) {
        (Some(role), _) => role.service_accounts.iter().map(ToString::to_string).collect(),
        (None, Some(_)) if names.len() > 1 && namespaces.len() > 1 => {
            extra.push(format!("each of {} in each of {}", names.join(", "), namespaces.join(", ")));
            return extra;
        }
        (None, _) => return extra,
    };
    if !globs {
        let product =
            namespaces.iter().flat_map(|namespace| names.iter().map(move |name| format!("{namespace}/{name}")));
        extra.extend(beside(&meant, product.filter(|account| !account.contains('*'))));
    }
    extra
}

/// Whom a role takes beside those that are meant. A role that takes none of those is bound to somebody else altogether,
/// which is one fault, and [`BOUND_ACCOUNT`]'s to tell.
fn beside(meant: &[String], taken: impl Iterator<Item = String>) -> Vec<String> {
    let (meant, others): (Vec<String>, Vec<String>) = taken.partition(|taken| meant.contains(taken));
    if meant.is_empty() { Vec::new() } else { others }
}
