//! What refers to a store: is what it asks for there for the role's login, and is what it makes there?

use std::collections::BTreeSet;

use super::external_secret::ExternalSecret;
use super::path;
use super::store_object::ELSEWHERE;
use crate::vault::VaultError;
use crate::verify::catalogue::{REMOTE_SECRET, TARGET_SECRET};
use crate::verify::external_secrets::store_scene::StoreScene;
use crate::verify::facts::cluster::SecretKeys;
use crate::verify::facts::{Known, Knows, all, some};
use crate::verify::finding::{Finding, Status};
use crate::verify::links::secret::beyond;
use crate::verify::scene::Wanted;
use crate::verify::walk::{Row, row};

/// The checks of what refers to a store.
pub(super) const ROWS: &[Row<StoreScene>] = &[row!(REMOTE_SECRET, remote), row!(TARGET_SECRET, target)];

pub(super) const NOBODY: &str = "no ExternalSecret refers to it";

fn remote(scene: &StoreScene) -> Known<Finding> {
    if scene.secrets.is_empty() {
        return Ok(Finding::skipped(NOBODY));
    }
    if scene.store.reads_elsewhere() {
        return Ok(Finding::skipped(ELSEWHERE));
    }
    if scene.role.logged_in()?.is_none() {
        return Ok(Finding::skipped("nobody logged in who could read it"));
    }
    let (mut found, mut beyond, mut missing) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for secret in &scene.secrets {
        for (field, ask) in secret.asks(&scene.store) {
            // Of metadata and of older versions nothing is known here.
            if ask.version.is_some() || ask.metadata_policy.as_deref() == Some("Fetch") {
                continue;
            }
            let Some(wanted) = path::secret(scene, ask)? else { continue };
            match obstacle(scene, secret, &field, &wanted)? {
                // What the login's token can't do any more it can't do for the others either.
                Some(finding) if finding.status == Status::Unseen => return Ok(finding),
                Some(finding) if finding.status == Status::Skipped => {
                    beyond.insert(finding.detail);
                }
                Some(finding) => missing.push(finding),
                None => {
                    found.insert(wanted.to_string());
                }
            }
        }
    }
    if let Some(finding) = Finding::all(missing) {
        return Ok(finding);
    }
    let told = if found.is_empty() && !beyond.is_empty() { Finding::skipped } else { Finding::passed };
    Ok(told(found.into_iter().chain(beyond).collect::<Vec<_>>().join(", ")))
}

/// What keeps an `ExternalSecret` from what it asks for.
fn obstacle(scene: &StoreScene, secret: &ExternalSecret, field: &str, wanted: &Wanted) -> Known<Option<Finding>> {
    let Wanted { mount, path, property, .. } = wanted;
    let name = format!("ExternalSecret {}/{}", secret.namespace, secret.name);
    let asks = format!("{wanted} ({field})");
    let failed = |detail: String, found: String| {
        let finding = Finding::failed(detail).with(format!("{name} asks for"), asks.clone()).with("there is", found);
        said(finding, secret)
    };
    Ok(Some(match scene.role.secret(wanted)? {
        Ok(Some(shape)) => {
            let property = some!(property.as_deref());
            match shape.has(property) {
                Some(true) => return Ok(None),
                Some(false) => {}
                None => return Ok(Some(Finding::skipped(beyond(wanted)))),
            }
            let names = shape.names();
            let finding =
                failed(format!("{mount}/{path} has no property {property:?}, which {name} asks for"), names.join(", "))
                    .why("External Secrets says `cannot find secret data for key`");
            match names.as_slice() {
                [only] => {
                    let patch = serde_json::json!([
                        { "op": "replace", "path": format!("/spec/{}/property", pointer(field)), "value": only }
                    ]);
                    let kubectl = scene.role.mount.cluster.kubectl().within(&secret.namespace);
                    finding.run("ask for the one that is there", kubectl.steps("externalsecret", &secret.name, &patch))
                }
                _ => finding.to_do("correct `remoteRef.property`, or add the property to the secret"),
            }
        }
        Ok(None) => failed(format!("there is no secret {mount}/{path}, which {name} asks for"), "none".to_owned())
            .why("External Secrets says `Secret does not exist`")
            .to_do("correct `remoteRef.key`, or put the secret there"),
        Err(VaultError::NotFound { .. }) => failed(
            format!("the latest version of {mount}/{path}, which {name} asks for, was deleted"),
            "a deleted version".to_owned(),
        )
        .why("External Secrets says `Secret does not exist`")
        .to_do(format!(
            "bring it back with {}, or put the secret there anew",
            scene.role.kv_undelete(wanted, None)?.shown()
        )),
        Err(VaultError::Forbidden { .. }) if is_limited(scene)? => {
            return Ok(Some(Finding::unseen(format!(
                "{mount}/{path} is refused, and so is everything once the login's token was used as often as the role allows"
            ))));
        }
        Err(error @ VaultError::Forbidden { .. }) => said(
            Finding::failed(format!("the login may not read {mount}/{path}, which {name} asks for"))
                .with(format!("{name} asks for"), asks.clone())
                .with("Vault says", error.to_string()),
            secret,
        )
        .why("External Secrets says `cannot read secret data from Vault: …`, with the server's `permission denied`")
        .to_do("correct `remoteRef.key`, or let a policy of the role cover it"),
        Err(error) => Finding::error(&error.clone().into()),
    }))
}

/// Whether the login's token may be used a number of times only, as these checks do as well.
fn is_limited(scene: &StoreScene) -> Known<bool> {
    Ok(scene.role.held()?.is_some_and(|document| document.token().token_num_uses > 0))
}

/// `data[0]` as a JSON pointer to what it asks for.
fn pointer(field: &str) -> String {
    let at: String = field.chars().filter(char::is_ascii_digit).collect();
    if field.starts_with("dataFrom") { format!("dataFrom/{at}/extract") } else { format!("data/{at}/remoteRef") }
}

/// With what an `ExternalSecret` says of itself.
pub(super) fn said(finding: Finding, secret: &ExternalSecret) -> Finding {
    match &secret.ready {
        Some(ready) if ready.denies() => finding.with("it says of itself", ready.to_string()),
        _ => finding,
    }
}

fn target(scene: &StoreScene) -> Known<Finding> {
    if scene.secrets.is_empty() {
        return Ok(Finding::skipped(NOBODY));
    }
    if scene.role.mount.cluster.connected().is_none() {
        return Ok(Finding::skipped("the cluster can't be reached from here"));
    }
    let cluster = &scene.role.mount.cluster.name;
    let keys_of = |namespace: &str, name: &str| {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        scene.facts().get(&SecretKeys { cluster: cluster.clone(), namespace, name })
    };
    // All at once.
    let targets = scene.secrets.iter().filter_map(|secret| Some((secret.namespace.as_str(), secret.target()?)));
    let _: Vec<_> = all(targets.map(|(namespace, target)| keys_of(namespace, target)))?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for secret in &scene.secrets {
        let Some(target) = secret.target() else {
            missing.extend(unsynced(scene, secret, "what it makes"));
            continue;
        };
        let what = format!("Secret {}/{target}", secret.namespace);
        let keys = secret.target_keys();
        let has = match keys_of(&secret.namespace, target)? {
            Ok(has) => has.as_ref(),
            Err(error) if error.is_forbidden() => {
                return Ok(Finding::unseen(error.to_string()).to_do("allow `get` of it to whoever runs this"));
            }
            Err(error) => return Ok(Finding::unseen_because(error)),
        };
        let (detail, has) = match has {
            None => (format!("{what} is not there"), "no such Secret".to_owned()),
            Some(has) if keys.iter().all(|key| has.iter().any(|has| has == key)) => {
                match unsynced(scene, secret, &what) {
                    Some(finding) => missing.push(finding),
                    None => found.push(what),
                }
                continue;
            }
            Some(has) => (format!("{what} lacks keys"), has.join(", ")),
        };
        let finding = Finding::failed(detail)
            .with(
                format!("ExternalSecret {} makes", secret.name),
                if keys.is_empty() {
                    "a Secret, whose keys it does not name itself".to_owned()
                } else {
                    keys.join(", ")
                },
            )
            .with("there is", has)
            .why("what is in Vault can be read; it has not come to where the workload looks");
        missing.push(look_again(scene, secret, said(finding, secret)));
    }
    if let Some(finding) = Finding::all(missing) {
        return Ok(finding);
    }
    Ok(if found.is_empty() { Finding::skipped("they make no Secrets") } else { Finding::passed(found.join(", ")) })
}

/// An `ExternalSecret` that says itself that it is not in order, though nothing here explains it.
fn unsynced(scene: &StoreScene, secret: &ExternalSecret, what: &str) -> Option<Finding> {
    let ready = secret.ready.as_ref().filter(|ready| ready.denies())?;
    let name = format!("ExternalSecret {}/{}", secret.namespace, secret.name);
    let finding =
        Finding::failed(format!("{name} is not ready, and nothing else here says why: {what} may be out of date"))
            .with("it says of itself", ready.to_string())
            .why("what is in Vault can be read, and changes there do not come to where the workload looks");
    Some(look_again(scene, secret, finding))
}

/// What makes the operator look again, and what shows why it does not help.
fn look_again(scene: &StoreScene, secret: &ExternalSecret, finding: Finding) -> Finding {
    let (kubectl, name) = (scene.role.mount.cluster.kubectl().within(&secret.namespace), &secret.name);
    let again = kubectl.run("annotate externalsecret").name(name).fixed("force-sync=\"$(date +%s)\" --overwrite");
    finding
        .run("let the operator look again", again)
        .run("if that changes nothing, its events say why", kubectl.run("describe externalsecret").name(name))
}
