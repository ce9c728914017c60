//! What the commands of remedies may do, held against every entry of the catalogue of faults by its capture: each changes what was found
//! broken and nothing else, and a bootstrap is printed only where its plan has that change.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::tests::entries;
use super::*;
use crate::names::MountPath;
use crate::verify::catalogue::{CheckId, LOGIN, Link, check};
use crate::verify::facts::Known;
use crate::verify::links::by_file::{config_differs, policies_differ, role_differs};
use crate::verify::scene::{MountScene, RoleScene};
use crate::verify::section::About;
use crate::verify::{Cause, Remedy, Severity};

/// Every entry of the catalogue: its name, and its capture.
fn all() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/captures");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let found = files.flat_map(|file| {
        let table = file.file_stem().unwrap().to_str().unwrap().to_owned();
        entries(&file)
            .into_iter()
            .map(move |(told, capture)| (format!("{table}: {}", told["entry"].as_str().unwrap()), capture))
    });
    found.collect()
}

/// The capture of one entry, changed.
fn of(name: &str, change: impl FnOnce(&mut Value)) -> Capture {
    let (_, capture) = all().into_iter().find(|(entry, _)| entry == name).unwrap_or_else(|| panic!("no entry {name}"));
    let mut capture: Value = serde_json::from_str(&capture).unwrap();
    change(&mut capture);
    Capture::read(&capture.to_string(), name).unwrap()
}

/// The answers to questions of a kind.
fn answers<'a>(capture: &'a mut Value, question: &str) -> impl Iterator<Item = &'a mut Value> {
    let all = capture["answers"].as_array_mut().unwrap().iter_mut();
    all.filter(move |answer| answer["question"] == question).map(|answer| &mut answer["answer"])
}

async fn diagnosed(capture: &Capture) -> Diagnosis {
    capture.diagnose(None, 1, &Interrupt::default(), &Progress::hidden()).await
}

/// What is to be done about what a check found.
async fn remedies(capture: &Capture, id: &str) -> Vec<Remedy> {
    let diagnosis = diagnosed(capture).await;
    let found = diagnosis.causes.into_iter().find(|cause| cause.result.check.id.as_str() == id);
    found.unwrap_or_else(|| panic!("{id} was not found")).result.finding.remedies
}

fn mount_of<'a>(scenes: &'a Scenes, path: &MountPath) -> &'a Arc<MountScene> {
    scenes.mounts.iter().find(|mount| mount.path == *path).unwrap()
}

/// Whether a bootstrap would change something of a mount, as a check of this id looks at it.
fn mount_differs(mount: &MountScene, id: CheckId) -> Known<bool> {
    // The reviewer's objects and token are no part of what the mount shows: the plan has them where they are missing, or no login works.
    let of_reviewer = ["VK323", "VK324", "VK325", "VK431"].iter().any(|of| check(of).id == id);
    if of_reviewer && mount.reviewer.is_some() {
        return Ok(true);
    }
    let named = mount.tune.settings.iter();
    let settings = mount.listed()?.map(|listed| listed.settings.fields()).unwrap_or_default();
    let tuned = named.clone().any(|(field, wanted)| settings.get(field) != Some(wanted));
    let Some(desired) = &mount.desired else { return Ok(false) };
    let fields = desired.config.as_ref().map(crate::model::ConfigDocument::fields);
    let fields: Vec<String> = fields.iter().filter_map(Value::as_object).flat_map(|all| all.keys().cloned()).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    Ok(tuned || mount.listed()?.is_none() || config_differs(mount, &fields)? == Some(true))
}

/// Whether a bootstrap would change what a cause is about.
fn has_the_change(scenes: &Scenes, cause: &Cause) -> Known<bool> {
    let role = |role: &RoleScene| Ok(role_differs(role)? == Some(true));
    match &cause.about {
        About::Mount { mount, .. } if cause.result.check.id == check("VK304").id => {
            Ok(mount_of(scenes, mount).all_roles.as_ref().is_some_and(|all| all.exclusive))
        }
        About::Mount { mount, .. } => mount_differs(mount_of(scenes, mount), cause.result.check.id),
        About::Role { role: name, mount, .. } => {
            let scene = scenes.roles.iter().find(|role| role.name == *name && role.mount.path == *mount).unwrap();
            Ok(match cause.result.check.link {
                // The reviewer's token can't be read back: whether it is renewed the login decides.
                _ if cause.result.check.id == LOGIN.id => role(scene)? || mount_differs(&scene.mount, LOGIN.id)?,
                Link::Login => mount_differs(&scene.mount, cause.result.check.id)?,
                Link::Access => policies_differ(scene)? == Some(true),
                _ => role(scene)?,
            })
        }
        _ => Ok(false),
    }
}

/// What is wrong with a command, if anything is.
async fn fault(capture: &Capture, cause: &Cause, command: &str) -> Option<String> {
    let scenes = &capture.scenes;
    if command.contains("-----BEGIN") || command.contains('\n') {
        return Some("a command has a text of several lines in it".to_owned());
    }
    if command.starts_with("vaultk8s bootstrap") {
        let has = scenes.vault.facts().settle(|| has_the_change(scenes, cause)).await;
        return (has != Ok(true)).then(|| format!("its plan doesn't have that change: {has:?}"));
    }
    match &cause.about {
        About::Store { resource, name, .. } if command.contains(" patch ") => {
            let own = format!(" patch {} {name} ", resource.to_lowercase());
            let holder = [" patch configmap ", " patch secret ", " patch externalsecret "];
            let is_own = command.contains(&own) || holder.iter().any(|other| command.contains(other));
            (!is_own).then(|| format!("it changes something else than {resource} {name}"))
        }
        About::Role { role, mount, .. } if command.contains(" write auth/") => {
            let is_own = [format!("auth/{mount}/role/{role} "), format!("auth/{mount}/config ")];
            let is_own = is_own.iter().any(|own| command.replace('\'', "").contains(own));
            (!is_own).then(|| format!("it writes another role than {role} of {mount}"))
        }
        _ => None,
    }
}

#[tokio::test]
async fn each_command_changes_what_was_found_and_a_bootstrap_has_something_to_do() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, capture) in all() {
        let capture = Capture::read(&capture, &name).unwrap();
        for cause in diagnosed(&capture).await.causes {
            let commands = cause.result.finding.remedies.iter().filter_map(|remedy| remedy.command.as_ref());
            for command in commands {
                count += 1;
                let id = cause.result.check.id;
                let fault = fault(&capture, &cause, command.as_str()).await;
                wrong.extend(fault.map(|fault| format!("{name}, {id}: {fault}: {command}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 250, "{count}");
}

/// Whether a remedy has a command of this kind.
fn runs(remedies: &[Remedy], words: &str) -> bool {
    remedies.iter().filter_map(|remedy| remedy.command.as_ref()).any(|command| command.as_str().contains(words))
}

#[tokio::test]
async fn a_file_that_says_the_same_is_what_is_to_be_corrected() {
    // As in Vault, so in the file.
    let same = of("the-jwt-role: bound to another account", |capture| {
        let held: Vec<Value> = answers(capture, "role").map(|answer| answer["Ok"].clone()).collect();
        let sub = held[0].to_string();
        let other = sub.split("system:serviceaccount:").nth(1).unwrap().split('"').next().unwrap().replace(':', "/");
        for role in capture["scenes"]["roles"].as_array_mut().unwrap() {
            role["case"]["expected"]["service_accounts"] = json!([other]);
        }
    });
    let remedies = remedies(&same, "VK412").await;
    assert!(!runs(&remedies, "bootstrap"), "{remedies:?}");
    assert!(remedies[0].text.contains("the file says the same as Vault"), "{remedies:?}");
}

#[tokio::test]
async fn no_field_is_to_be_removed_that_the_file_does_not_have() {
    for (named, words) in [(true, "take `auth.issuer` out"), (false, "correct it")] {
        let other = of("the-jwt-mount-s-configuration: issuer of an old cluster", |capture| {
            for mount in capture["scenes"]["mounts"].as_array_mut().unwrap() {
                let config = mount["case"]["desired"]["config"].as_object_mut().unwrap().values_mut().next().unwrap();
                config["bound_issuer"] = json!("https://another.example");
                mount["case"]["namesIssuer"] = json!(named);
            }
        });
        let remedies = remedies(&other, "VK312").await;
        assert!(remedies[0].text.contains(words), "{remedies:?}");
        assert_eq!(named, remedies[0].text.contains("`auth.issuer`"), "{remedies:?}");
    }
}

#[tokio::test]
async fn a_healthy_store_is_not_patched_into_the_namespace_of_this_run() {
    for (ready, patched) in [("True", false), ("False", true)] {
        let capture = of("the-store-s-login: store of another Vault namespace", |capture| {
            for store in capture["scenes"]["stores"].as_array_mut().unwrap() {
                store["case"]["store"]["ready"] =
                    json!({ "type": "Ready", "status": ready, "reason": "", "message": "" });
            }
        });
        let remedies = remedies(&capture, "VK912").await;
        assert_eq!(runs(&remedies, "patch"), patched, "{remedies:?}");
    }
    // Where this run's own namespace isn't there, nothing is said of those of others.
    assert!(check("VK912").needs.contains(&check("VK106").id));
    assert_eq!(check("VK912").severity, Severity::Breaks);
}

#[tokio::test]
async fn the_kind_that_an_external_secret_leaves_out_is_patched() {
    let mut meant = String::new();
    let capture = of("what-refers-to-the-store: ExternalSecret with a mistyped property", |capture| {
        for answer in answers(capture, "what-is-installed") {
            let secret = &mut answer["Ok"]["secrets"][0];
            meant = format!(
                "-n {} patch externalsecret {} ",
                secret["namespace"].as_str().unwrap(),
                secret["name"].as_str().unwrap()
            );
            secret["spec"]["secretStoreRef"]["kind"] = json!("");
        }
    });
    let found = remedies(&capture, "VK904").await;
    assert!(runs(&found, &meant) && runs(&found, r#"{"secretStoreRef":{"kind":"ClusterSecretStore"}}"#), "{found:?}");
}

#[tokio::test]
async fn nobody_is_sent_round_in_a_circle_by_a_front_that_knows_no_tokens() {
    let capture = of("the-reviewer: Vault's copy is no token", |capture| {
        for answer in answers(capture, "review") {
            let refused = json!({ "server": "s", "what": "w", "message": "Unauthorized" });
            *answer = json!({ "Ok": { "Refused": { "Unauthorized": refused } } });
        }
    });
    let found = remedies(&capture, "VK423").await;
    assert!(!runs(&found, "bootstrap") && found[0].text.contains("a front"), "{found:?}");
}

/// The causes that come of none, and those of each that do.
async fn told(name: &str) -> Vec<(String, Vec<String>)> {
    let diagnosis = diagnosed(&of(name, |_| {})).await;
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for cause in diagnosis.causes {
        let id = cause.result.check.id.to_string();
        match cause.consequence_of {
            None => told.push((id, Vec::new())),
            Some(of) => {
                let (root, consequences) = told.last_mut().unwrap();
                assert_eq!(*root, of.to_string());
                consequences.push(id);
            }
        }
    }
    told
}

#[tokio::test]
async fn one_cause_is_one_entry_with_its_consequences_under_it() {
    for (name, root, consequences) in [
        ("the-jwt-role-who-else: bound to the audience alone", "VK415", &["VK802", "VK803"][..]),
        ("the-jwt-mount-itself: mount without configuration", "VK303", &["VK401"]),
        ("the-context-of-another-cluster: wrong context (flags)", "VK312", &["VK313"]),
        ("whom-the-mount-trusts: a proxy of somebody's, with its CA", "VK331", &["VK322"]),
        ("policies: no policies on the role", "VK501", &["VK504", "VK502"]),
        (
            "rights-from-elsewhere: a group's policy lets policies be written, but for some",
            "VK507",
            &["VK508", "VK501"],
        ),
    ] {
        let consequences = consequences.iter().map(ToString::to_string).collect();
        assert_eq!(told(name).await, [(root.to_owned(), consequences)], "{name}");
    }
    // Two faults are two entries.
    assert_eq!(told("two-faults-at-once: issuer and audience").await.len(), 2);
}
