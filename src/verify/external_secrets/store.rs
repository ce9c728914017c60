//! What a store says against Vault and the role.

use serde_json::{Value, json};
use url::Url;

use super::path::mount_above;
use super::store_object::{ELSEWHERE, StoreAccount, plain_namespace};
use super::trust::{trusted, vault_at};
use super::uses::{names_role, place};
use crate::config::Labelled;
use crate::fix::Command;
use crate::model::{AuthMethod, KvVersion};
use crate::names::{MountPath, ServiceAccountRef};
use crate::verify::binding::takes;
use crate::verify::catalogue::{
    STORE_ACCOUNT, STORE_AUDIENCES, STORE_KV, STORE_MOUNT, STORE_NAMESPACE, STORE_READY, STORE_ROLE, STORE_SERVER,
};
use crate::verify::external_secrets::store_scene::StoreScene;
use crate::verify::facts::Known;
use crate::verify::finding::Finding;
use crate::verify::links::role::unread;
use crate::verify::selected;
use crate::verify::walk::{Row, row};

/// The checks of a store's fields.
pub(super) const ROWS: &[Row<StoreScene>] = &[
    row!(STORE_SERVER, server),
    row!(STORE_NAMESPACE, namespace, without facts),
    row!(STORE_MOUNT, mount),
    row!(STORE_ROLE, role),
    row!(STORE_ACCOUNT, account),
    row!(STORE_AUDIENCES, audiences),
    row!(STORE_KV, kv),
];

/// The check of what the operator says of it.
pub(super) const READY_ROWS: &[Row<StoreScene>] = &[row!(STORE_READY, ready, without facts)];

const CORRECT: &str = "correct the store, and where it comes from";

fn server(scene: &StoreScene) -> Known<Finding> {
    let vault = &scene.role.mount.vault;
    let (ours, theirs) = (vault.url(), &scene.store.vault.server);
    let values = [("the store's server", theirs.clone()), ("this Vault", vault.address().to_owned())];
    let patch = scene.patch(&json!({ "server": vault.address() }));
    let Ok(url) = theirs.parse::<Url>() else {
        return Ok(scene.failed("the store's server is no URL", values).run(CORRECT, patch));
    };
    let why = "External Secrets sends the service account's token, and gets the secrets, over this connection";
    if url.scheme() == "http" && ours.scheme() != "http" {
        return Ok(scene.failed("the store asks for Vault over plain http", values).why(why).run(CORRECT, patch));
    }
    if place(&url) == place(ours) {
        let below = |url: &Url| url.path().trim_end_matches('/').to_owned();
        if below(&url) == below(ours) {
            return Ok(Finding::passed(theirs.clone()));
        }
        return Ok(scene
            .failed("the store's server has another path than this Vault's", values)
            .why("External Secrets adds `/v1/` itself: what it asks for then is not there, and Vault answers 404")
            .run(CORRECT, patch));
    }
    let ours = vault.seal()?.as_ref().map(|seal| seal.cluster_id.as_str()).unwrap_or_default();
    let authorities = trusted(scene)?.unwrap_or_default();
    let answer = vault_at(scene, &url, authorities.as_ref())?;
    Ok(match answer.as_deref() {
        Ok(theirs) if theirs == ours && !ours.is_empty() => {
            Finding::passed(format!("{url} is this Vault by another name"))
        }
        // Often a name that only the cluster's own network knows, or that leads to something else here.
        Err(_) | Ok("") if scene.store.ready.as_ref().is_some_and(|ready| !ready.denies()) => {
            let [theirs, ours] = values;
            Finding::warning("the store names another server, which does not answer here as Vault; the store is ready")
                .with(theirs.0, theirs.1)
                .with(ours.0, ours.1)
                .to_do("look whether it is the same Vault by another name")
        }
        Ok(_) => scene.failed("the store asks another Vault", values).why(why).run(CORRECT, patch),
        Err(error) => scene
            .failed("the store asks another server, which does not answer here", values)
            .with("the connection says", error.said())
            .why("where External Secrets gets no answer either, its log says `dial tcp`, and the store `unable to create client`")
            .run(CORRECT, patch),
    })
}

fn namespace(scene: &StoreScene) -> Finding {
    let show = |name: Option<&str>| name.map_or_else(|| "the root namespace".to_owned(), str::to_owned);
    let ours = plain_namespace(scene.role.mount.vault.namespace());
    let theirs = scene.store.login_namespace();
    if ours == theirs {
        return Finding::passed(show(ours));
    }
    let values = [("the store logs in to", show(theirs)), ("the role is in", show(ours))];
    let fields = if scene.store.has_login_namespace() {
        json!({ "auth": { "namespace": ours } })
    } else {
        json!({ "namespace": ours })
    };
    let finding = scene
        .failed("the store logs in to another namespace of Vault", values)
        .why("a mount is in one namespace alone: elsewhere the login is refused with a bare `permission denied`");
    // One that is ready was let in there: then it is this run that asks elsewhere.
    if scene.store.is_ready() {
        return finding.to_do(
            "look which of the two is meant: the store is ready, so that it may be this run that asks in the wrong namespace \
             (--namespace, VAULT_NAMESPACE, `vault.namespace`)",
        );
    }
    finding.run(CORRECT, scene.patch(&fields))
}

fn mount(scene: &StoreScene) -> Known<Finding> {
    let (auth, ours) = (&scene.store.auth, &scene.role.mount);
    if let Some(method) = ours.method()?.filter(|method| *method != auth.method) {
        let values =
            [("the store's auth", auth.method.as_str().to_owned()), ("the mount's method", method.as_str().to_owned())];
        return Ok(scene
            .failed("the store logs in in another method than the mount's", values)
            .why("each method takes logins of its own alone")
            .to_do(format!(
                "let the store have `auth.{}` in place of `auth.{}`",
                method.as_str(),
                auth.method.as_str()
            )));
    }
    if auth.mount == ours.path.as_str() {
        return Ok(Finding::passed(format!("auth/{}", ours.path)));
    }
    let values =
        [("the store logs in at", format!("auth/{}", auth.mount)), ("the role is on", format!("auth/{}", ours.path))];
    let fields = match auth.method {
        AuthMethod::Jwt => json!({ "auth": { "jwt": { "path": ours.path } } }),
        AuthMethod::Kubernetes => json!({ "auth": { "kubernetes": { "mountPath": ours.path } } }),
    };
    Ok(scene
        .failed("the store logs in at another mount", values)
        .why("where there is no such mount the login is refused with a bare `permission denied`, elsewhere with `role \"…\" could not be found`")
        .run(CORRECT, scene.patch(&fields)))
}

fn role(scene: &StoreScene) -> Known<Finding> {
    let (theirs, ours) = (&scene.store.auth.role, &scene.role.name);
    if names_role(&scene.store, ours) {
        return Ok(Finding::passed(theirs.clone()));
    }
    let by_default = scene.role.mount.jwt_config()?.map(|config| config.default_role.as_str());
    if theirs.is_empty() && by_default == Some(ours.as_str()) {
        return Ok(Finding::passed(format!("none, and {ours} is the mount's default")));
    }
    let theirs = if theirs.is_empty() { "none".to_owned() } else { theirs.clone() };
    let values = [("the store's role", theirs), ("the role of its service account", ours.to_string())];
    let fields = match scene.store.auth.method {
        AuthMethod::Jwt => json!({ "auth": { "jwt": { "role": ours } } }),
        AuthMethod::Kubernetes => json!({ "auth": { "kubernetes": { "role": ours } } }),
    };
    Ok(scene
        .failed(format!("the store's role is not on auth/{}/", scene.role.mount.path), values)
        .why("the login is refused: `role \"…\" could not be found` (jwt), `invalid role name \"…\"` (kubernetes)")
        .run(CORRECT, scene.patch(&fields)))
}

fn account(scene: &StoreScene) -> Known<Finding> {
    let theirs = match &scene.store.auth.account {
        StoreAccount::Named(account) => account,
        StoreAccount::OfEach(name) => return of_each(scene, name),
        StoreAccount::Operator => return Ok(Finding::skipped("it logs in with the operator's own service account")),
        StoreAccount::Token => return Ok(Finding::skipped("it logs in with a token in a Secret")),
    };
    let Some(document) = scene.role.held()? else {
        return Ok(unread());
    };
    let Err(words) = takes(document, &theirs.subject()) else {
        return Ok(strange_namespace(scene).unwrap_or_else(|| Finding::passed(theirs.to_string())));
    };
    let ours = scene.role.account.as_ref();
    let values = [
        ("the store logs in as", theirs.to_string()),
        ("the role takes", ours.map_or_else(|| "others".to_owned(), ToString::to_string)),
    ];
    let finding = scene
        .failed("the store logs in as a service account that the role does not take", values)
        .why(format!("the server's own message is `{words}`"));
    // Where it is the one that should log in, the role is wrong, and not the store.
    let Some(ours) = ours.filter(|ours| *ours != theirs) else {
        return Ok(finding.to_do("bind the role to it, or let the store name another"));
    };
    let selector = match &scene.store.namespace {
        None => json!({ "name": ours.name, "namespace": ours.namespace }),
        Some(own) if *own == ours.namespace => json!({ "name": ours.name, "namespace": null }),
        Some(_) => {
            return Ok(finding.to_do(format!(
                "a SecretStore takes service accounts of its own namespace alone: move it to {}, bind the role to {theirs}, or make it a ClusterSecretStore",
                ours.namespace
            )));
        }
    };
    Ok(finding.run(CORRECT, patch_account(scene, &selector)))
}

/// The command that changes fields of the store's `serviceAccountRef`.
fn patch_account(scene: &StoreScene, selector: &Value) -> Command {
    scene.patch(&match scene.store.auth.method {
        AuthMethod::Jwt => {
            json!({ "auth": { "jwt": { "kubernetesServiceAccountToken": { "serviceAccountRef": selector } } } })
        }
        AuthMethod::Kubernetes => json!({ "auth": { "kubernetes": { "serviceAccountRef": selector } } }),
    })
}

/// A `SecretStore` that names another namespace for its account than its own. The operator does not look at it, but its
/// webhook does.
fn strange_namespace(scene: &StoreScene) -> Option<Finding> {
    let (own, named) = (scene.store.namespace.as_ref()?, scene.store.auth.account_namespace.as_ref()?);
    if own == named {
        return None;
    }
    let detail = "the serviceAccountRef of a SecretStore names another namespace than the store's";
    let values = [("the store's serviceAccountRef", named.clone()), ("the store is in", own.clone())];
    let finding = if scene.store.is_ready() {
        let [named, own] = values;
        Finding::warning(format!("{detail}; the store is ready")).with(named.0, named.1).with(own.0, own.1)
    } else {
        scene.failed(detail, values)
    };
    Some(
        finding
            .why("External Secrets' webhook refuses every change of the store: `namespace should either be empty or match the namespace of the SecretStore for a namespaced SecretStore`; the account is one of the store's own namespace in any case")
            .run(CORRECT, patch_account(scene, &json!({ "namespace": null }))),
    )
}

/// A `ClusterSecretStore` whose account is looked for in the namespace of each `ExternalSecret`.
fn of_each(scene: &StoreScene, name: &str) -> Known<Finding> {
    let mut namespaces: Vec<&str> = scene.secrets.iter().map(|secret| secret.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    if let Some(labelled) = scene.role.labelled.as_ref().filter(|labelled| labelled.has_name(name)) {
        return by_labels(scene, labelled, name, &namespaces);
    }
    let Some(ours) = &scene.role.account else {
        return Ok(Finding::skipped("the role names no account to compare with"));
    };
    if name == ours.name && namespaces.iter().all(|namespace| *namespace == ours.namespace) {
        return Ok(Finding::passed(format!("{name} of the namespace of each ExternalSecret")));
    }
    let shown = if namespaces.is_empty() { "each ExternalSecret".to_owned() } else { namespaces.join(", ") };
    Ok(Finding::warning(
        "the store names no namespace for its service account: it logs in as one of each ExternalSecret's",
    )
    .with("the store logs in as", format!("{name} of {shown}"))
    .with("this login is of", ours.to_string())
    .to_do("name the namespace in the store's `serviceAccountRef`, or bind the role to each of them"))
}

/// The same, where the role takes accounts by the labels of their namespaces.
fn by_labels(scene: &StoreScene, labelled: &Labelled, name: &str, namespaces: &[&str]) -> Known<Finding> {
    let mut outside = Vec::new();
    for namespace in namespaces {
        let account = ServiceAccountRef { namespace: (*namespace).to_owned(), name: name.to_owned() };
        match selected::takes(&scene.role.mount.cluster, labelled, &account)? {
            Some(true) => {}
            Some(false) => outside.push(*namespace),
            None => {
                return Ok(Finding::unseen(
                    "which labels the namespaces of its ExternalSecrets have could not be seen",
                ));
            }
        }
    }
    if outside.is_empty() {
        return Ok(Finding::passed(format!("{name} of the namespace of each ExternalSecret, by its labels")));
    }
    Ok(Finding::failed("the store logs in as an account of each ExternalSecret's namespace, and not all of these have the role's labels")
        .with("the role takes", labelled.to_string())
        .with("without these labels", outside.join(", "))
        .why("`namespace not authorized`")
        .to_do("give them the labels, or name a namespace in the store's `serviceAccountRef`"))
}

fn audiences(scene: &StoreScene) -> Known<Finding> {
    let auth = &scene.store.auth;
    if matches!(auth.account, StoreAccount::Operator | StoreAccount::Token) {
        return Ok(Finding::skipped("it asks for no token of its own"));
    }
    let Some(role) = scene.role.held()? else { return Ok(unread()) };
    let wanted = role.audiences();
    let Some(first) = wanted.first() else { return Ok(Finding::passed("the role wants none")) };
    let asked = if auth.audiences.is_empty() {
        // What the API server gives without being asked, which only a token shows that was asked for so.
        match scene.role.token()? {
            Ok(token) if scene.role.audiences.is_empty() => token.claims.audiences.0.clone(),
            _ => return Ok(Finding::skipped("it asks for none, and what the cluster gives then is not known here")),
        }
    } else {
        auth.audiences.clone()
    };
    if asked.iter().any(|asked| wanted.contains(asked)) {
        return Ok(Finding::passed(asked.join(", ")));
    }
    let values = [("the store asks for", asked.join(", ")), ("the role takes", wanted.join(", "))];
    let (fields, says) = match auth.method {
        AuthMethod::Jwt => (
            json!({ "auth": { "jwt": { "kubernetesServiceAccountToken": { "audiences": [first] } } } }),
            "invalid audience (aud) claim: audience claim does not match any expected audience",
        ),
        AuthMethod::Kubernetes => (
            json!({ "auth": { "kubernetes": { "serviceAccountRef": { "audiences": [first] } } } }),
            "invalid audience (aud) claim",
        ),
    };
    Ok(scene
        .failed("the store asks for tokens for another audience than the role's", values)
        .why(format!(
            "the server's own message is `{says}`; External Secrets' jwt auth asks for `vault` unless the store has `audiences`, its kubernetes auth for none"
        ))
        .run(CORRECT, scene.patch(&fields)))
}

fn kv(scene: &StoreScene) -> Known<Finding> {
    let role = &scene.role;
    if scene.store.reads_elsewhere() {
        return Ok(Finding::skipped(ELSEWHERE));
    }
    let Some(path) = scene.store.vault.path.as_deref().filter(|path| !path.is_empty()) else {
        return Ok(Finding::skipped("the store names no path: each key begins with its mount"));
    };
    let mut known: Vec<&MountPath> = role.kv.iter().chain(role.wanted.iter().map(|wanted| &wanted.mount)).collect();
    known.sort_unstable();
    known.dedup();
    let absent = |said: String| {
        let shown = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let shown = if shown.is_empty() { "not known here".to_owned() } else { shown };
        let finding = scene
            .failed(said, [("the store's path", path.to_owned()), ("the KV mount", shown)])
            .why("what is below a mount that isn't there is refused like what may not be read: `permission denied`");
        match known.as_slice() {
            [mount] => finding.run(CORRECT, scene.patch(&json!({ "path": mount }))),
            _ => finding.to_do(format!(
                "set the store's `path` to the KV mount alone, without `data/`; {} shows them",
                role.mount.vault.cli().run("secrets list").shown()
            )),
        }
    };
    let whole = path.trim_matches('/');
    let mount = if scene.store.is_versioned() { whole.parse().ok() } else { mount_above(scene, &format!("{whole}/"))? };
    let Some(mount) = mount else { return Ok(absent("the store's path can't be a mount".to_owned())) };
    if scene.store.is_versioned()
        && let Some(above) = kv_above(scene, whole)?
    {
        let rest = whole.strip_prefix(above.as_str()).unwrap_or_default().trim_matches('/');
        let values = [("the store's path", path.to_owned()), ("the KV mount", above.to_string())];
        let finding = scene
            .failed("the store's path goes on below the KV mount", values)
            .why("of version 2 the path is the mount alone: External Secrets puts `data/` after it, and what it reads then is not there or refused with `permission denied`");
        let command = scene.patch(&json!({ "path": above }));
        return Ok(match rest.strip_prefix("data/").unwrap_or(rest) {
            "" | "data" => finding.run(CORRECT, command),
            keys => finding.run(format!("{CORRECT}; each key has to begin with {keys}/"), command),
        });
    }
    let version = match role.kv(&mount)? {
        Ok(version) => version,
        Err(error) if error.is_forbidden() => return Ok(Finding::unseen_because(error)),
        Err(error) => return Ok(absent(error.to_string())),
    };
    let [theirs, ours] =
        [scene.store.is_versioned(), version == KvVersion::V2].map(|two| if two { "v2" } else { "v1" });
    if ours == theirs {
        return Ok(Finding::passed(format!("{mount}/, {ours}")));
    }
    let values = [("the store's version", theirs.to_owned()), (&*format!("{mount}/ in Vault"), ours.to_owned())];
    let finding = scene
        .failed("the store takes the KV mount for one of the other version", values)
        .why("version 2 has its values below `data/`, version 1 has not: the wrong path is refused with `permission denied`, or has nothing");
    if mount.as_str() != whole {
        return Ok(finding.to_do(format!(
            "set the store's `version` to {ours} and its `path` to {mount} alone, and let each key begin with the rest"
        )));
    }
    Ok(finding.run(CORRECT, scene.patch(&json!({ "version": ours }))))
}

/// The KV mount that a path is below: a mount can't be in another.
fn kv_above(scene: &StoreScene, path: &str) -> Known<Option<MountPath>> {
    for (end, _) in path.match_indices('/') {
        let Ok(mount) = path[..end].parse::<MountPath>() else { continue };
        if scene.role.kv(&mount)?.is_ok() {
            return Ok(Some(mount));
        }
    }
    Ok(None)
}

fn ready(scene: &StoreScene) -> Finding {
    match &scene.store.ready {
        None => Finding::skipped("it says nothing: no operator has looked at it"),
        Some(ready) if ready.denies() => Finding::failed("the store is not ready, and nothing else here says why")
            .with("the store says", ready.to_string())
            .why("what refers to it is not refreshed; External Secrets tells the cause in the store's events and in its log alone")
            .run("look at its events; if it was mended just now, wait until the operator looks again", scene.describe()),
        Some(ready) => Finding::passed(ready.to_string()),
    }
}
