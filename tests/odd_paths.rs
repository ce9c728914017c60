//! Secrets whose paths have whatever Vault takes: percent signs, pluses, blanks, quotes, any script.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;

/// Named ones, each for something that reads a path: URLs, policies, shells, YAML, Vault's CLI.
const NAMED: [&str; 16] = [
    "a%b",
    "a%20b",
    "%",
    "100%/x",
    "a+b",
    "c++",
    "+a/b+",
    "a b",
    "ü/日本 x",
    "it's",
    "a\"b",
    "a\\b",
    "a`b$x",
    "a&b;c|d",
    "~/!x",
    "a?b=c@d",
];

/// A text for a shell, which hands it on as it is.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn yaml(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Every byte but letters and slashes as its code: what a server takes apart again.
fn encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'/' {
            url.push(char::from(byte));
        } else {
            write!(url, "%{byte:02X}").unwrap();
        }
        url
    })
}

/// Runs a command as whoever reads it would, with the real program.
fn shell(command: &str) -> String {
    let lab = lab::shared();
    let bin = lab.vault_program().parent().unwrap().display();
    let mut shell = std::process::Command::new("/bin/bash");
    shell
        .args(["-c", command])
        .env_clear()
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("VAULT_CACERT", lab.vault_ca());
    shell.env("VAULT_ADDR", lab.vault().address()).env("VAULT_TOKEN", lab.root_token());
    let answer = shell.output().unwrap();
    assert!(answer.status.success(), "{command}: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap()
}

/// What a check says.
fn check<'a>(said: &'a Value, id: &str) -> &'a Value {
    let mut checks =
        said["sections"].as_array().unwrap().iter().flat_map(|section| section["checks"].as_array().unwrap());
    checks.find(|check| check["id"] == id).unwrap()
}

/// Puts secrets there, lets the tool write the policy, and looks at each from all sides.
fn try_all(paths: &[String]) {
    let fixture = Fixture::new();
    let (vault, at) = (lab::shared().vault(), &fixture.namespace);
    let paths: Vec<String> = paths.iter().map(|path| format!("{at}/{path}")).collect();
    for path in &paths {
        // Beside what is allowed there is a secret of nearly the same name.
        for path in [path.clone(), format!("{path}x")] {
            vault.write(&format!("secret/data/{}", encoded(&path)), &json!({ "data": { "password": "x" } }));
        }
    }
    let list: Vec<String> = paths.iter().map(|path| yaml(path)).collect();
    let config = fixture.config.replacen(&format!("read: [{at}/*]"), &format!("read: [{}]", list.join(", ")), 1);
    let run = |args: &[String]| -> Answer {
        let bin = lab::shared().vault_program().parent().unwrap();
        let path = format!("{}:/usr/bin:/bin", bin.display());
        Vaultk8s::new(args.iter().map(String::as_str)).on_shared().unhidden().env("PATH", path).config(&config).run()
    };
    let words = |args: &[&str]| -> Vec<String> { args.iter().map(|arg| (*arg).to_owned()).collect() };
    run(&words(&["bootstrap"])).exits(0);
    run(&words(&["plan", "--detailed-exitcode"])).exits(0);
    let verify = |paths: &[String]| {
        let named = paths.iter().flat_map(|path| ["--path".to_owned(), format!("secret/{path}#password")]);
        run(&words(&["verify-role", "--all", "-o", "json"]).into_iter().chain(named).collect::<Vec<_>>())
    };
    let said = verify(&paths).exits(0).json();
    for id in ["VK504", "VK506", "VK507", "VK601", "VK602"] {
        assert_eq!(check(&said, id)["status"], "passed", "{said:#}");
    }
    // What is nearly the same is refused by the server, and said to be.
    for path in &paths {
        let beside = verify(&[format!("{path}x")]).exits(1).json();
        assert_eq!(check(&beside, "VK504")["status"], "failed", "{path:?}");
    }
    // The printed command brings back what was deleted.
    for path in &paths {
        vault.delete(&format!("secret/data/{}", encoded(path)));
    }
    let gone = verify(&paths).exits(1).json();
    shell(check(&gone, "VK601")["remedies"][0]["command"].as_str().unwrap());
    verify(&paths).exits(0);
    // And by flags, the printed command adds to the policy what is missing there.
    vault.write(&format!("sys/policies/acl/{}", fixture.policy), &json!({ "policy": "# nothing" }));
    let flags = ["verify-role", "-o", "json", "--mount", &fixture.mount, "--role", "r-app", "--service-account"];
    let mut flags = words(&flags);
    flags.push(format!("{at}/app"));
    flags.extend(paths.iter().flat_map(|path| ["--path".to_owned(), format!("secret/{path}")]));
    let lacks = run(&flags).exits(1).json();
    shell(check(&lacks, "VK504")["remedies"][0]["command"].as_str().unwrap());
    let said = run(&flags).json();
    for id in ["VK504", "VK506", "VK601"] {
        assert_eq!(check(&said, id)["status"], "passed", "{said:#}");
    }
    // Vault's own program reads what the tool means.
    for path in &paths {
        assert_eq!(shell(&format!("bao kv get -mount=secret -field=password {}", word(path))), "x", "{path:?}");
    }
}

#[test]
fn odd_paths_are_read_granted_and_printed_as_they_are() {
    try_all(&NAMED.map(str::to_owned));
}

#[test]
fn odd_paths_at_random() {
    let characters = "ab1%+ é日ß'\"`\\$&;()!|<>~^=,:@?[]-_.".chars().collect::<Vec<_>>();
    let segment = proptest::collection::vec(select(characters), 1..6)
        .prop_map(String::from_iter)
        .prop_filter("a name", |name| name.trim() == name && !matches!(name.as_str(), "" | "+" | "." | ".."));
    let path = proptest::collection::vec(segment, 1..4).prop_map(|segments| segments.join("/"));
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    for _ in 0..2 {
        let mut paths: Vec<String> = (0..20).map(|_| path.new_tree(&mut runner).unwrap().current()).collect();
        // One inside another would be granted by neither.
        paths.sort();
        paths.dedup();
        // Its neighbour would be another one's.
        let all = paths.clone();
        paths.retain(|path| !all.contains(&format!("{path}x")));
        try_all(&paths);
    }
}

#[test]
fn what_vault_refuses_is_refused_by_the_file_with_its_word() {
    let vault = lab::shared().vault();
    let fixture = Fixture::new();
    for (path, status, word) in [
        ("a\u{200b}b", 400, "isn't printable"),
        ("a\u{a0}b", 400, "isn't printable"),
        ("a//b", 307, "an empty segment"),
        ("a/../b", 307, "a relative segment"),
    ] {
        if status == 400 {
            let answer = vault.post(&format!("secret/data/{}", encoded(path)), &json!({ "data": {} }));
            assert_eq!(answer.0, status, "{path:?}: {}", answer.1);
        }
        let config = fixture.config.replacen("/*]", &format!("/*, {}]", yaml(path)), 1);
        fixture.command(["plan"]).config(&config).run().exits(64).complains(&[word]);
        fixture.command(["verify-role", "--all", "--path", path]).run().exits(64).complains(&[word]);
    }
}
