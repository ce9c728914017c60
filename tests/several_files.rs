//! A configuration of several files: `-f` more than once, or a folder.

use serde_json::Value;

use crate::command::Vaultk8s;
use crate::fixture::Fixture;

/// A platform's file with the cluster, and a team's in a folder of its own with policies and roles.
struct Split {
    fixture: Fixture,
    platform: String,
    team: String,
}

const FILES: [&str; 4] = ["-f", "platform.yaml", "-f", "team/app.yaml"];

impl Split {
    fn new() -> Self {
        let fixture = Fixture::new();
        let (platform, team) = fixture.config.split_once("policies:").unwrap();
        let owner = lab::shared().unique("platform");
        let (platform, team) = (format!("owner: {owner}\n{platform}"), format!("policies:{team}"));
        Self { fixture, platform, team }
    }

    fn command(&self, args: &[&str]) -> Vaultk8s {
        let command = self.fixture.place.on(Vaultk8s::new(args.iter().copied())).folder("team");
        command.file("platform.yaml", &self.platform).file("team/app.yaml", &self.team)
    }

    fn run(&self, args: &[&str]) -> crate::command::Answer {
        self.command(&[args, &FILES].concat()).run()
    }
}

#[test]
fn several_files_are_one_configuration() {
    let split = Split::new();
    split.run(&["bootstrap"]).exits(0);
    split.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    split.run(&["verify-role", "--all"]).exits(0);
    let rules = split.run(&["render", "operator-policy"]).exits(0).stdout;
    assert!(rules.contains(&format!("sys/policies/acl/{}", split.fixture.policy)), "{rules}");
    // In whichever order, from a pipe, and as folders.
    let args = ["plan", "--detailed-exitcode", "-f", "team", "-f", "-"];
    split.command(&args).stdin(split.platform.as_str()).run().exits(0);
    // The commands that are printed are about all of them.
    lab::shared().vault().delete(&format!("sys/policies/acl/{}", split.fixture.policy));
    let said: Value = split.run(&["verify-role", "--all", "-o", "json"]).exits(1).json();
    let command = said["causes"][0]["remedies"][0]["command"].as_str().unwrap();
    assert!(command.contains("bootstrap -f platform.yaml -f team/app.yaml"), "{command}");
}

#[test]
fn what_is_wrong_is_told_of_the_file_that_it_is_in() {
    let split = Split::new();
    let again = format!("{}\n", split.team);
    let twice = |args: &[&str]| split.command(args).file("again.yaml", &again).run();
    // Names are unique in all of them.
    let answer = twice(&["plan", "-f", "platform.yaml", "-f", "team/app.yaml", "-f", "again.yaml"]).exits(64);
    let policy = &split.fixture.policy;
    answer.complains(&[
        &format!("again.yaml:2:11: two policies are named {policy:?}: here and on line 2 of team/app.yaml"),
        "are named \"r-app\": here and on line 6 of team/app.yaml",
        "again.yaml:2:11: give one of them another name",
    ]);
    // The same file twice is said as that.
    twice(&["plan", "-f", "platform.yaml", "-f", "./platform.yaml"]).exits(64).complains(&["is named twice with -f"]);
    twice(&["plan", "-f", "-", "-f", "-"])
        .exits(64)
        .complains(&["standard input, which is there once, is named twice"]);
    for (text, said) in [
        ("policies: [{ name: p, raed: x }]", "more.yaml:1:"),
        ("owner: somebody-else", "more.yaml:1:1: `owner` is something else on line 1 of platform.yaml"),
        ("a: [", "more.yaml:1:"),
        ("", "more.yaml:1:1: the file is empty"),
    ] {
        let files = [&["plan"], &FILES[..], &["-f", "more.yaml"]].concat();
        split.command(&files).file("more.yaml", text).run().exits(64).complains(&[said]);
    }
    // What is the same in all is said once.
    let owner = split.platform.lines().next().unwrap();
    let files = [&["plan"], &FILES[..], &["-f", "more.yaml"]].concat();
    split.command(&files).file("more.yaml", &format!("{owner}\nkv: secret\n")).run().exits(0);
    // A mount may be named in a section as well, and one that is made is something else.
    for (one, code) in [("mount: secret", 0), ("mount: secret, create: false", 0), ("mount: secret, create: true", 64)]
    {
        let command = split.command(&files).file("platform.yaml", &format!("kv: secret\n{}", split.platform));
        command.file("more.yaml", &format!("kv: {{ {one} }}\n")).run().exits(code);
    }
    // What is missing may be in another one, and is missed where it is in none.
    split.command(&["plan", "-f", "team/app.yaml"]).run().exits(64).complains(&["has no `clusters`"]);
}

#[test]
fn files_are_named_from_the_file_that_names_them() {
    let lab = lab::shared();
    let split = Split::new();
    let keys = lab.kubectl_get_raw("/openid/v1/jwks");
    let (_, auth) = split.platform.split_once("auth:").unwrap();
    let cluster = format!(
        "clusters:\n  - name: lab\n    issuer: {}\n    jwksFile: keys.json\n    auth:{auth}",
        lab.kubernetes_server()
    );
    let args = ["plan", "-f", "team/app.yaml", "-f", "keys/cluster.yaml"];
    let command = split.command(&args).folder("keys").file("keys/cluster.yaml", &cluster);
    command.file("keys/keys.json", &keys).run().exits(0);
    let command = split.command(&args).folder("keys").file("keys/cluster.yaml", &cluster);
    command.file("keys.json", &keys).run().exits(64).complains(&["keys/keys.json"]);
    // One Vault, whose certificate is the same file from both.
    let vault = |file: &str| format!("vault: {{ caCert: {file} }}\n");
    let with = |one: &str, other: &str| {
        let args = ["render", "operator-policy", "-f", "platform.yaml", "-f", "team/app.yaml"];
        let command = split.command(&args).file("platform.yaml", &format!("{}{}", split.platform, vault(one)));
        command.file("team/app.yaml", &format!("{}{}", split.team, vault(other))).run()
    };
    with("/etc/ca.pem", "/etc/ca.pem").exits(0);
    with("ca/ca.pem", "./../ca/ca.pem").exits(0);
    with("ca.pem", "ca.pem").exits(64).complains(&["`vault` is something else on line"]);
}

#[test]
fn a_rehearsal_takes_and_compares_several() {
    let split = Split::new();
    let program = lab::shared().vault_program().to_str().unwrap();
    let account = format!("{}/app", split.fixture.namespace);
    let expects = format!("expect:\n  - {{ serviceAccounts: {account}, cannot: read, paths: other/x }}\n");
    let wider = split.team.replacen("/*]", "/*, other/*]", 1);
    let args = [&["rehearse", "--server-bin", program], &FILES[..], &["-f", "more.yaml"]].concat();
    let against = [&args[..], &["--against", "platform.yaml", "--against", "wider.yaml"]].concat();
    let run = |args: &[&str]| {
        let command = split.command(args).file("more.yaml", &expects).file("wider.yaml", &wider);
        command.env("PATH", std::env::var("PATH").unwrap()).run()
    };
    run(&args).exits(0).says(&["more.yaml:2"]);
    run(&against).exits(0).says(&["Compared with platform.yaml, wider.yaml", "other/*"]);
}

#[test]
fn a_folder_and_the_sum_have_their_limits() {
    let split = Split::new();
    let large = format!("# {}\n", "x".repeat(3 << 20));
    let command = split.command(&[&["plan"], &FILES[..]].concat());
    let command = command.file("platform.yaml", &format!("{large}{}", split.platform));
    command.file("team/app.yaml", &format!("{large}{}", split.team)).run().exits(64).complains(&["bytes together"]);
    split.command(&["plan", "-f", "empty"]).folder("empty").run().exits(64).complains(&["has no .yaml or .yml file"]);
    // Other files in it are none of the configuration.
    let command = split.command(&["render", "operator-policy", "-f", ".", "-f", "team"]);
    command.file("README.md", "no: yaml: here").folder("sub.yaml").run().exits(0);
}
