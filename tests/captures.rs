//! A run of `verify-role` in a file: what is in it, what isn't, and what it tells to somebody who has nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lab::{VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::catalogue::setup::{Setup, Shape, leaked};
use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;

/// Runs `verify-role` and captures it to a file: what it told.
fn captured(fixture: &Fixture, file: &Path, args: &[&str]) -> Answer {
    let capture = ["verify-role", "--all", "--capture", file.to_str().unwrap()];
    fixture.command(capture).args(args.iter().copied()).unhidden().run()
}

/// Diagnoses a capture with no environment at all.
fn elsewhere(file: &Path, args: &[&str]) -> Answer {
    Vaultk8s::new(["verify-role", "--from", file.to_str().unwrap()]).args(args.iter().copied()).run()
}

/// A folder, and a capture of a healthy role in it.
fn healthy() -> (tempfile::TempDir, PathBuf) {
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    fixture.bootstrap();
    let file = folder.path().join("capture.json");
    captured(&fixture, &file, &[]).exits(0);
    (folder, file)
}

/// What somebody did to a capture.
type Edit = fn(&mut Value);

/// A capture that was edited.
fn edited(file: &Path, edit: impl FnOnce(&mut Value)) -> PathBuf {
    let mut document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    edit(&mut document);
    let other = file.with_extension("edited");
    std::fs::write(&other, document.to_string()).unwrap();
    other
}

#[test]
fn a_capture_tells_elsewhere_what_the_run_told() {
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    fixture.bootstrap();
    let file = folder.path().join("capture.json");
    for (fault, code) in [(&["--path", "no/such#thing"][..], 1), (&["-o", "json"], 0), (&[], 0)] {
        let there =
            captured(&fixture, &file, fault).exits(code).complains(&["captured to", "without tokens", "--from"]);
        let format: &[&str] = if fault.contains(&"json") { &["-o", "json"] } else { &[] };
        let here = elsewhere(&file, format).exits(code);
        assert_eq!(here.stdout, there.stdout);
        // Of nobody else's business, and the only thing that is left.
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let report = folder.path().join("report.xml");
    elsewhere(&file, &["--report", &format!("junit={}", report.display())]).exits(0);
    assert!(std::fs::read_to_string(report).unwrap().contains("VK431"));
}

#[test]
fn a_role_that_flags_name_and_a_token_that_is_brought_along_are_captured_too() {
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    fixture.bootstrap();
    let (file, token) =
        (folder.path().join("capture.json"), lab::shared().token(&fixture.namespace, "app", &["vault"], 600));
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app", "--jwt-file", "-", "--capture"];
    let run = Vaultk8s::new(args).args([file.to_str().unwrap()]).on_shared().env("KUBECONFIG", "/nonexistent");
    let there = run.stdin(token.clone()).unhidden().run().exits(0);
    assert_eq!(elsewhere(&file, &[]).exits(0).stdout, there.stdout);
    assert_eq!(leaked(&std::fs::read_to_string(&file).unwrap(), &[&token]), Vec::<&str>::new());
}

#[test]
fn what_somebody_else_wrote_is_not_written_over() {
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    let theirs = folder.path().join("theirs.json");
    std::fs::write(&theirs, "{}").unwrap();
    captured(&fixture, &theirs, &[]).exits(64).complains(&["is no capture of verify-role", "--capture"]);
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "{}");
    captured(&fixture, folder.path(), &[]).exits(64).complains(&["not a plain file"]);
    let own = fixture.command(["verify-role", "--all", "--capture", "vaultk8s.yaml"]).run();
    own.exits(64).complains(&["is the configuration itself"]);
}

#[test]
fn where_a_capture_has_no_place_nobody_is_asked() {
    let server = VaultServer::start(&VaultOptions::default());
    let before = server.requests().len();
    let fixture = Fixture::new();
    let run = Vaultk8s::new(["verify-role", "--all", "--capture", "no/such/folder/capture.json"]).on(&server);
    run.config(&fixture.config).run().exits(64).complains(&["so nothing was looked at", "a folder that is there"]);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_run_that_is_stopped_captures_nothing() {
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("capture.json");
    // Nobody answers there, and nobody says so.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let capture = ["verify-role", "--all", "--capture", file.to_str().unwrap()];
    let running = fixture.command(capture).env("VAULT_ADDR", &address).start();
    // It has asked, and is waiting.
    let asked = silent.accept().unwrap();
    let id = running.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    running.finish().exits(130).complains(&["nothing was captured"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(asked);
}

#[test]
fn no_token_of_the_run_is_in_its_capture() {
    for kubernetes in [false, true] {
        let vault = Some(VaultOptions { raw_audit: true, ..VaultOptions::default() });
        let setup = Setup::new(Shape { kubernetes, vault, ..Shape::default() });
        let (code, text, _, all) = setup.verify_and_capture();
        assert_eq!(code, 0, "{all}");
        // All that Vault was sent and gave back, in the clear.
        let log = setup.server.as_ref().unwrap().audit_text();
        let mut used = Vec::new();
        for line in log.lines() {
            collect(&serde_json::from_str(line).unwrap_or_default(), &mut used);
        }
        used.push(setup.environment["VAULT_TOKEN"].clone());
        if kubernetes {
            used.push(setup.reviewer_jwt());
        }
        let of_kubernetes = used.iter().filter(|token| token.starts_with("eyJ")).count();
        assert!(of_kubernetes >= 4 && used.len() - of_kubernetes > 4, "too few to prove anything: {}", used.len());
        for token in &used {
            assert!(!text.contains(token.as_str()), "the capture holds {token}");
            if let Some(signature) = token.splitn(3, '.').nth(2).filter(|_| token.starts_with("eyJ")) {
                assert!(
                    signature.is_empty() || !text.contains(signature),
                    "the capture holds the signature of {token}"
                );
            }
        }
    }
}

/// The tokens and their accessors in an entry of a log.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    // The accessor of a mount is none of a token's.
                    Some(text)
                        if ["client_token", "jwt", "token", "token_reviewer_jwt", "client_token_accessor"]
                            .contains(&name.as_str()) =>
                    {
                        found.extend(Some(text.to_owned()).filter(|text| !text.is_empty()));
                    }
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[test]
fn what_is_no_capture_of_this_version_is_refused() {
    let (folder, file) = healthy();
    let refused = |file: &Path, words: &[&str]| elsewhere(file, &[]).exits(64).complains(words);
    refused(&folder.path().join("gone.json"), &["could not be read", "--capture FILE"]);
    let other = folder.path().join("other.json");
    for (text, word) in [
        ("", "is no capture"),
        ("[1", "is no capture"),
        ("{}", "its kind is \"\""),
        (r#"{"kind":"Plan"}"#, "its kind is \"Plan\""),
    ] {
        std::fs::write(&other, text).unwrap();
        refused(&other, &[word, "make it anew"]);
    }
    let edits: [(Edit, &[&str]); 10] = [
        (|it| it["form"] = 99.into(), &["form 99, made by \"vaultk8s"]),
        (|it| it["apiVersion"] = "vaultk8s/v9".into(), &["\"vaultk8s/v9\""]),
        (|it| it["more"] = 1.into(), &["is damaged", "unknown field `more`", "line 1 column"]),
        (|it| it["began"] = "yesterday".into(), &["is damaged", "line 1 column"]),
        (|it| it["scenes"]["mounts"][0]["of"] = 7.into(), &["there is no cluster at 7"]),
        // Both stand in commands as they are.
        (
            |it| it["scenes"]["vault"]["handOn"]["program"] = "rm -rf / #".into(),
            &["is damaged", "expected `vault` or `bao`"],
        ),
        (
            |it| it["scenes"]["vault"]["handOn"]["variables"] = json!([["LD_PRELOAD", "/tmp/x.so"]]),
            &["is damaged", "a variable that isn't Vault's"],
        ),
        (|it| it["answers"][0]["question"] = "who".into(), &["answers[0]: there is no question \"who\""]),
        (|it| it["answers"][1]["answer"] = "?".into(), &["answers[1], to the question"]),
        (|it| it["answers"][1] = it["answers"][0].clone(), &["answers[1]", "is answered already"]),
    ];
    for (edit, words) in edits {
        refused(&edited(&file, edit), words);
    }
    let large = std::fs::File::create(&other).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    refused(&other, &["64 MiB"]);
}

#[test]
fn what_says_whom_to_ask_has_no_place_beside_a_capture() {
    for args in [
        &["--all"][..],
        &["r-app"],
        &["--no-login"],
        &["--address", "https://v"],
        &["-f", "x.yaml"],
        &["--context", "x"],
    ] {
        elsewhere(Path::new("x"), args).exits(64).complains(&["cannot be used with"]);
    }
}

#[test]
fn a_question_without_an_answer_is_told_and_not_asked() {
    let (_folder, file) = healthy();
    let answer = |it: &mut Value, question: &str| {
        it["answers"].as_array_mut().unwrap().retain(|answer| answer["question"] != question);
    };
    let without = edited(&file, |it| answer(it, "auth-mounts"));
    let told = elsewhere(&without, &["-o", "json"]);
    assert!(
        told.stdout.contains("the capture doesn't have the answer to the question `auth-mounts`"),
        "{}",
        told.stdout
    );
    // Checks that the run left out are nobody's to make later.
    let (fixture, folder) = (Fixture::new(), tempfile::tempdir().unwrap());
    fixture.bootstrap();
    let file = folder.path().join("capture.json");
    captured(&fixture, &file, &["--only", "VK1"]).exits(0);
    elsewhere(&file, &[]).exits(0).says(&["✓ VK101"]);
    elsewhere(&file, &["--only", "VK101,VK301"]).says(&["✓ VK101", "VK301", "the capture doesn't have the answer"]);
}
