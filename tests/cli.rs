//! The command line itself: exit codes, the manual, and what goes where.

use std::fmt::Write as _;

use vaultk8s::cli::Cli;

use crate::command::{Vaultk8s, testdata};

#[test]
fn wrong_usage_exits_with_64_so_that_it_never_reads_as_drift() {
    for args in [&["plan", "--detailed-exitcod"][..], &["nonsense"], &[], &["plan", "-o", "xml"]] {
        let answer = Vaultk8s::new(args.iter().copied()).run().exits(64);
        assert_eq!(answer.stdout, "");
    }
}

#[test]
fn wrong_usage_is_a_document_too_where_one_is_asked_for() {
    for flag in [&["-o", "json"][..], &["-ojson"], &["--output=json"]] {
        let answer = Vaultk8s::new(["plan", "--nonsense"]).args(flag.iter().copied()).run().exits(64);
        assert_eq!((&answer.json()["kind"], &answer.json()["exitCode"]), (&"Error".into(), &64.into()));
    }
}

#[test]
fn help_and_version_are_results() {
    Vaultk8s::new(["--help"]).run().exits(0).says(&["bootstrap", "Exit codes"]);
    Vaultk8s::new(["--version"]).run().exits(0).says(&[env!("CARGO_PKG_VERSION")]);
    Vaultk8s::new(["completions", "bash"]).run().exits(0).says(&["_vaultk8s"]);
    Vaultk8s::new(["man"]).run().exits(0).says(&[".TH VAULTK8S 1", "bootstrap"]);
    Vaultk8s::new(["man", "auth", "jwt"]).run().exits(0).says(&[".TH VAULTK8S-AUTH-JWT 1", "jwks\\-file", "quiet"]);
    Vaultk8s::new(["man", "nonsense"]).run().exits(64).complains(&["no command nonsense"]);
}

#[test]
fn a_configuration_that_is_not_there_is_wrong_usage() {
    Vaultk8s::new(["plan"]).run().exits(64).complains(&["vaultk8s.yaml could not be read", "-f FILE"]);
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_line_and_column() {
    let answer = Vaultk8s::new(["plan", "-o", "json"]).config("clusters: []\npolicys: []\n").run().exits(64);
    let error = answer.json();
    assert_eq!((&error["kind"], &error["exitCode"]), (&"Error".into(), &64.into()));
    answer.complains(&["vaultk8s.yaml:2:1", "policys", "policies"]);
}

#[test]
fn a_token_in_the_environment_is_never_shown() {
    for (token, words) in [("hvs.verysecret\u{7}", "VAULT_TOKEN"), ("hvs.verysecret", "does not answer")] {
        for format in ["text", "json"] {
            let answer = Vaultk8s::new(["plan", "-o", format])
                .config(
                    "clusters: [{ name: c, issuer: i, jwksFile: k.json, auth: { method: jwt, audience: vault } }]\n",
                )
                .file("k.json", include_str!("../testdata/jwks/p256.json"))
                .env("VAULT_ADDR", "https://127.0.0.1:1")
                .env("VAULT_TOKEN", token)
                .run()
                .complains(&[words]);
            assert_ne!(answer.code, 0);
            assert!(!format!("{}{}", answer.stdout, answer.stderr).contains("verysecret"));
        }
    }
}

#[test]
fn no_token_says_how_to_get_one() {
    Vaultk8s::new(["plan"])
        .config(include_str!("../testdata/configs/talos.yaml"))
        .env("VAULT_ADDR", "https://127.0.0.1:1")
        .run()
        .exits(64)
        .complains(&["vault login", "VAULT_TOKEN"]);
}

/// A `kid` is base64url: one in 64 begins with a hyphen, and is no flag.
#[test]
fn a_key_may_be_called_what_looks_like_a_flag() {
    for command in ["plan", "bootstrap"] {
        let args = [command, "--forget-key", "-Zk3", "--keep-key", "-Zk3", "--address", "http://127.0.0.1:1"];
        let config = "clusters: [{ name: c, issuer: i, jwksFile: f, auth: { method: jwt, mount: m, audience: a } }]";
        let command = Vaultk8s::new(args).config(config).env("VAULT_TOKEN", "t");
        command.run().exits(64).complains(&["-Zk3 is to be kept and to be forgotten"]);
    }
}

#[test]
fn the_readme_shows_the_file_that_the_demo_runs() {
    let readme = include_str!("../README.md");
    let file = include_str!("../testdata/configs/talos.yaml");
    assert!(readme.contains(&format!("```yaml\n{file}```")));
    let architecture = include_str!("../docs/architecture.md");
    let entry = architecture.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(file.contains(entry), "docs/architecture.md follows an entry that the file doesn't have:\n{entry}");
}

#[test]
fn the_manual_is_what_the_commands_say() {
    let mut manual = "# The command line\n\n\
        Made from the commands' own help; `SNAPSHOTS=overwrite cargo test --test integration cli::` writes it anew.\n"
        .to_owned();
    let mut definition = Cli::definition().term_width(100);
    definition.build();
    write!(manual, "\n```text\n{}```\n", trimmed(&definition.render_long_help())).unwrap();
    for command in definition.get_subcommands_mut() {
        describe("vaultk8s", command, &mut manual);
    }
    snapbox::assert_data_eq!(manual, snapbox::file!["../docs/cli.md"].raw());
}

/// A command's help, and that of those below it.
fn describe(above: &str, command: &mut clap::Command, manual: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    *command = command.clone().term_width(100);
    write!(manual, "\n## {name}\n\n```text\n{}```\n", trimmed(&command.render_long_help())).unwrap();
    for below in command.get_subcommands_mut() {
        describe(&name, below, manual);
    }
}

fn trimmed(help: &clap::builder::StyledStr) -> String {
    help.to_string().lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

#[test]
fn a_configuration_may_come_through_a_pipe() {
    let text = std::fs::read_to_string(testdata("configs/talos.yaml")).unwrap();
    let from_file = Vaultk8s::new(["render", "operator-policy"]).config(&text).run().exits(0);
    let piped = Vaultk8s::new(["render", "operator-policy", "-f", "-"]).stdin(text.as_str()).run().exits(0);
    assert_eq!(piped.stdout, from_file.stdout);
    let wrong = Vaultk8s::new(["render", "operator-policy", "-f", "-"]).stdin("clusters: 7").run().exits(64);
    wrong.complains(&["clusters"]);
    Vaultk8s::new(["render", "operator-policy", "-f", "-"]).stdin("").run().exits(64);
}

#[test]
fn what_begins_with_x_is_a_place_for_anchors_at_the_top_alone() {
    let text = std::fs::read_to_string(testdata("configs/talos.yaml")).unwrap();
    let anchors = format!("x-lifetimes: {{ ttl: &ttl 1h }}\n{text}");
    Vaultk8s::new(["render", "operator-policy"]).config(&anchors).run().exits(0);
    let below = text.replace("  - name: r-eso_{each}", "  - x-note: ours\n    name: r-eso_{each}");
    assert_ne!(below, text);
    Vaultk8s::new(["render", "operator-policy"])
        .config(&below)
        .run()
        .exits(64)
        .complains(&["`x-note` is not a field of a role"]);
}
