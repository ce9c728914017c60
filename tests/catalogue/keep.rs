//! The captures of the entries, which `testdata/captures` keeps: all checks are run on all of them without any server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::setup::Setup;

/// What an entry says that its capture tells.
pub fn told(name: &str, first: &str, also: &[&str], words: &[&str]) -> Value {
    json!({ "entry": name, "first": first, "also": also, "words": words })
}

/// Where captures are wanted, if they are what this is run for.
pub fn wanted() -> Option<OsString> {
    std::env::var_os("VAULTK8S_CAPTURES")
}

/// Writes the captures of a table where `cargo lab captures` wants them, if that is what runs this; else those that are kept have to be of
/// the same entries. What they have in common stands there once.
pub fn keep(table: &str, captured: Vec<(Value, String)>) {
    let file = format!("{}.json", plain(table));
    if let Some(folder) = wanted() {
        std::fs::write(PathBuf::from(folder).join(file), written(captured)).unwrap();
        return;
    }
    let file = crate::command::testdata("captures").join(file);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap_or_default()).unwrap_or_default();
    let kept: Vec<Value> =
        kept["entries"].as_array().into_iter().flatten().map(|entry| entry["told"].clone()).collect();
    let told: Vec<Value> = captured.into_iter().map(|(told, _)| told).collect();
    assert_eq!(kept, told, "{} is not of these entries: `cargo lab captures` makes it anew", file.display());
}

/// A name as one of a file.
fn plain(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// A capture without what is another thing each time, as far as nothing hangs on it: the names that were made up for it, and paths of this
/// machine. Keys, ports and times belong together and stay.
pub fn normalised(capture: &str, setup: &Setup) -> String {
    let environment = |name: &str| setup.environment.get(name).map(String::as_str).unwrap_or_default();
    let paths = [
        (environment("HOME"), "/home/lab"),
        (environment("KUBECONFIG"), "/home/lab/.kube/config"),
        (environment("VAULT_CACERT"), "/home/lab/vault-ca.pem"),
    ];
    let known = paths.into_iter().filter(|(from, _)| from.starts_with('/'));
    let text = known.fold(capture.to_owned(), |text, (from, to)| text.replace(from, to));
    let text = [&*setup.mount, &*setup.policy, &*setup.namespace].into_iter().fold(text, |text, name| {
        let kind = name.rsplit_once('-').map_or(name, |(kind, _)| kind);
        text.replace(name, &format!("{kind}-0"))
    });
    numbered(&without_folders(&text))
}

/// Paths in the folder of a run of the lab, without what was made up for it and for the server in it.
fn without_folders(text: &str) -> String {
    let made_up = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let mut parts = text.split("/vaultk8s-lab-");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("/vaultk8s-lab");
        let mut rest = &part[made_up(part)..];
        if let Some(server) = rest.strip_prefix("/vault-") {
            out.push_str("/vault");
            rest = &server[made_up(server)..];
        }
        out.push_str(rest);
    }
    out
}

/// Ends of names that were made up (`-1f2e3d4c`) as numbers, in the order in which they come.
fn numbered(text: &str) -> String {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parts = text.split('-');
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut before = out.chars().last();
    for part in parts {
        out.push('-');
        let hex = part.chars().take_while(|c| matches!(c, '0'..='9' | 'a'..='f')).count();
        let after = part[hex..].chars().next();
        // In a UUID, a number or a certificate there is none.
        let ends = after.is_none_or(|c| !c.is_ascii_alphanumeric()) && before.is_some_and(|c| c.is_ascii_lowercase());
        if hex == 8 && ends && !(after.is_none() && out.ends_with("--")) {
            let next = numbers.len() + 1;
            out.push_str(&numbers.entry(&part[..8]).or_insert(next).to_string());
            out.push_str(&part[8..]);
        } else {
            out.push_str(part);
        }
        before = part.chars().last();
    }
    out
}

/// The captures of a table as text: each answer that some of them have on a line, and each entry with the numbers of its answers.
fn written(captured: Vec<(Value, String)>) -> String {
    let (mut lines, mut numbers, mut entries) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (told, capture) in captured {
        let mut capture: Value = serde_json::from_str(&capture).unwrap();
        let mut answers: Vec<Value> = capture["answers"].as_array().unwrap().clone();
        answers.iter_mut().for_each(without_others);
        let mut answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
        answers.sort();
        let number = |answer: String| {
            *numbers.entry(answer.clone()).or_insert_with(|| {
                lines.push(answer);
                lines.len() - 1
            })
        };
        capture["answers"] = answers.into_iter().map(number).collect::<Vec<usize>>().into();
        entries.push(json!({ "told": told, "capture": capture }).to_string());
    }
    format!("{{\"answers\":[\n{}\n],\"entries\":[\n{}\n]}}\n", lines.join(",\n"), entries.join(",\n"))
}

/// Leaves out what is of the entries beside it, which share its Vault and its cluster: mounts, stores, and what refers to these.
fn without_others(answer: &mut Value) {
    match answer["question"].as_str() {
        Some("auth-mounts") => {
            if let Some(mounts) = answer.pointer_mut("/answer/Ok").and_then(Value::as_object_mut) {
                mounts.retain(|path, _| !path.starts_with("catalogue-") || path.starts_with("catalogue-0"));
            }
        }
        Some("what-is-installed") => {
            for list in ["/answer/Ok/stores", "/answer/Ok/secrets"] {
                if let Some(objects) = answer.pointer_mut(list).and_then(Value::as_array_mut) {
                    let is_own = |text: String| ["app-0", "catalogue-0"].iter().any(|own| text.contains(own));
                    objects.retain(|object| is_own(object.to_string()));
                }
            }
        }
        _ => {}
    }
}
