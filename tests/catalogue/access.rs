//! What a login may do, the secret, and the life of its token.

use serde_json::{Value, json};

use lab::VaultOptions;

use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt, shown};

pub fn kv1() -> Shape {
    Shape { kv1: true, ..Shape::default() }
}

fn kv1_flags() -> Shape {
    Shape { flags: true, ..kv1() }
}

fn no_policy(setup: &mut Setup) {
    setup.vault().delete(&format!("sys/policies/acl/{}", setup.policy));
}

/// The policy with these rules: path below the namespace and capability.
pub fn rules(setup: &Setup, rules: &[(&str, &str)]) {
    let rule = |(start, capability): &(&str, &str)| {
        format!("path \"{start}{}/*\" {{ capabilities = [\"{capability}\"] }}\n", setup.namespace)
    };
    setup.write_policy(&setup.policy, &rules.iter().map(rule).collect::<String>());
}

fn no_data(setup: &mut Setup) {
    rules(setup, &[("secret/metadata/", "list")]);
}

fn version_1_paths(setup: &mut Setup) {
    rules(setup, &[("secret/", "read"), ("secret/", "list")]);
}

fn version_2_paths(setup: &mut Setup) {
    rules(setup, &[("kv1/data/", "read"), ("kv1/metadata/", "list")]);
}

fn wide(setup: &mut Setup) {
    setup.write_policy(&setup.policy, "path \"secret/*\" { capabilities = [\"read\", \"list\"] }");
}

fn typo(setup: &mut Setup) {
    rules(setup, &[("secrets/data/", "read"), ("secrets/metadata/", "list")]);
}

fn nested() -> Shape {
    Shape { nested: true, ..Shape::default() }
}

fn nested_flags() -> Shape {
    Shape { flags: true, ..nested() }
}

fn nested_typo(setup: &mut Setup) {
    let mistyped = setup.kv.replace("/kv", "/kw");
    rules(setup, &[(&format!("{mistyped}/data/"), "read"), (&format!("{mistyped}/metadata/"), "list")]);
}

fn nested_no_data(setup: &mut Setup) {
    rules(setup, &[(&format!("{}/metadata/", setup.kv), "list")]);
}

/// As if somebody had cut the policy `default` down to the least.
fn trimmed_default(setup: &mut Setup) {
    setup.write_policy("default", "path \"sys/capabilities-self\" { capabilities = [\"update\"] }");
}

fn root(setup: &mut Setup) {
    setup.role(json!({ "token_policies": [setup.policy, "root"] }));
}

/// Runs what is printed for the cause of this id.
fn as_printed(setup: &Setup, id: &str, which: usize) {
    let (_, said, all) = setup.verify();
    let causes = said["causes"].as_array().unwrap();
    let cause = causes.iter().find(|cause| cause["id"] == id).unwrap_or_else(|| panic!("no {id}: {all}"));
    let command = cause["remedies"][which]["command"].as_str().unwrap_or_else(|| panic!("{cause}"));
    let command = if command.starts_with("vaultk8s bootstrap") {
        format!("{command} --yes --approve take-over")
    } else {
        command.to_owned()
    };
    let answer = setup.shell(&command);
    assert!(answer.status.success() || command.starts_with("vaultk8s bootstrap"), "{command}: {}", shown(&answer));
}

/// A secret that is there, and that no policy of the role covers.
fn outside(setup: &mut Setup) {
    let path = format!("{}-other/x", setup.namespace);
    setup.vault().write(&format!("secret/data/{path}"), &json!({ "data": { "a": "b" } }));
    setup.option("--path", Some(&path));
}

fn no_policies(setup: &mut Setup) {
    setup.role(json!({ "token_policies": [] }));
}

fn neither_policy(setup: &mut Setup) {
    no_policy(setup);
    setup.vault().delete(&format!("sys/policies/acl/{}-second", setup.policy));
}

/// A Vault of its own, whose policy `default` is nobody else's.
fn own_default() -> Shape {
    Shape { vault: Some(VaultOptions::default()), ..flags() }
}

pub fn own_vault() -> Shape {
    Shape { flags: false, ..own_default() }
}

const WIDE: &str = "\npath \"secret/data/*\" { capabilities = [\"read\"] }\n";

pub fn default_policy(setup: &Setup) -> String {
    setup.vault().read("sys/policies/acl/default")["data"]["policy"].as_str().unwrap().to_owned()
}

/// As if somebody had opened the KV mount to everybody by hand.
fn wide_default(setup: &mut Setup) {
    setup.write_policy("default", &(default_policy(setup) + WIDE));
}

fn plain_default(setup: &mut Setup) {
    setup.write_policy("default", &default_policy(setup).replace(WIDE.trim(), ""));
}

/// What is named is still covered, and what is deeper no longer.
fn narrow(setup: &mut Setup) {
    let rule = |part: &str, capability: &str| {
        format!("path \"secret/{part}/{}/+\" {{ capabilities = [\"{capability}\"] }}\n", setup.namespace)
    };
    setup.write_policy(&setup.policy, &(rule("data", "read") + &rule("metadata", "list")));
}

/// What it means only the server knows.
fn template(setup: &mut Setup) {
    let path = "{{identity.entity.metadata.team}}/*";
    let rule = |part: &str, capability: &str| {
        format!("path \"secret/{part}/{path}\" {{ capabilities = [\"{capability}\"] }}\n")
    };
    setup.write_policy(&setup.policy, &(rule("data", "read") + &rule("metadata", "list")));
}

fn default_grants(setup: &mut Setup) {
    let default = default_policy(setup);
    let rule = format!("path \"secret/data/{}/*\" {{ capabilities = [\"read\"] }}\n", setup.namespace);
    setup.write_policy("default", &(default + "\n" + &rule));
    no_policies(setup);
}

/// What the role's policy granted, the identity of who logs in does.
fn identity_grants(setup: &mut Setup) {
    of_the_identity(setup, json!([setup.policy]));
    no_policies(setup);
}

/// The identity of who logs in.
pub fn entity(setup: &Setup) -> String {
    let accessor = setup.vault().read("sys/auth")["data"][format!("{}/", setup.mount)]["accessor"].clone();
    let name = format!("system:serviceaccount:{}:app", setup.namespace);
    let body = json!({ "alias_name": name, "alias_mount_accessor": accessor });
    let (status, found) = setup.vault().post("identity/lookup/entity", &body);
    assert_eq!(status, 200, "{found}");
    found["data"]["id"].as_str().unwrap().to_owned()
}

/// The policies of the identity of who logs in.
pub fn of_the_identity(setup: &Setup, policies: Value) {
    setup.vault().write(&format!("identity/entity/id/{}", entity(setup)), &json!({ "policies": policies }));
}

pub fn second() -> Shape {
    Shape { second: true, ..Shape::default() }
}

fn second_flags() -> Shape {
    Shape { flags: true, ..second() }
}

fn secret(setup: &Setup, part: &str) -> String {
    format!("secret/{part}/{}/db", setup.namespace)
}

fn put(setup: &mut Setup) {
    setup.vault().write(&secret(setup, "data"), &json!({ "data": { "password": "p" } }));
}

fn no_property(setup: &mut Setup) {
    setup.vault().write(&secret(setup, "data"), &json!({ "data": { "passwort": "p" } }));
}

fn ask_for(setup: &mut Setup, what: &str) {
    setup.args.extend(["--path".to_owned(), format!("{}/{what}", setup.namespace)]);
}

fn no_properties(setup: &mut Setup) {
    no_property(setup);
    ask_for(setup, "db#user");
}

fn put_both(setup: &mut Setup) {
    setup.vault().write(&secret(setup, "data"), &json!({ "data": { "password": "p", "user": "u" } }));
}

fn deleted_and_gone(setup: &mut Setup) {
    deleted(setup);
    ask_for(setup, "other");
}

fn gone_and_lacking(setup: &mut Setup) {
    no_property(setup);
    ask_for(setup, "other");
}

fn other(setup: &mut Setup) {
    let path = format!("secret/data/{}/other", setup.namespace);
    setup.vault().write(&path, &json!({ "data": { "a": "b" } }));
}

fn both_there(setup: &mut Setup) {
    put(setup);
    other(setup);
}

fn deleted(setup: &mut Setup) {
    setup.vault().delete(&secret(setup, "data"));
}

fn destroyed(setup: &mut Setup) {
    setup.vault().write(&secret(setup, "destroy"), &json!({ "versions": [1] }));
}

fn gone(setup: &mut Setup) {
    setup.vault().delete(&secret(setup, "metadata"));
}

/// The most that logins of the mount may live.
fn most(setup: &mut Setup, seconds: &str) {
    setup.vault().write(&format!("sys/auth/{}/tune", setup.mount), &json!({ "max_lease_ttl": seconds }));
}

fn once(setup: &mut Setup) {
    setup.role(json!({ "token_num_uses": 1 }));
}

fn no_default(setup: &mut Setup) {
    setup.role(json!({ "token_no_default_policy": true }));
}

#[test]
fn policies() {
    run(
        "policies",
        &[
            entry("policy missing", jwt, no_policy, "VK502", &["doesn't exist"]),
            entry("policy missing (flags)", flags, no_policy, "VK502", &["doesn't exist"]),
            entry("two policies missing", second, neither_policy, "VK502", &["p-catalogue-", "-second"]),
            entry("two policies missing (flags)", second_flags, neither_policy, "VK502", &["p-catalogue-", "-second"]),
            entry(
                "policy missing, for two secrets (flags)",
                flags,
                |setup| {
                    other(setup);
                    ask_for(setup, "other");
                    no_policy(setup);
                },
                "VK502",
                &["doesn't exist"],
            ),
            entry("policy wider than meant", jwt, wide, "VK507", &["may also", "p-catalogue-"]),
            entry("default wider than meant", own_vault, wide_default, "VK507", &["may also read on", "default"])
                .person(plain_default),
            entry("a template that nothing fills in", jwt, template, "VK506", &["may not read on secret/data/"]),
            entry("policy narrower than meant", jwt, narrow, "VK506", &["may not read on secret/data/"]),
            entry("policy without data/", jwt, no_data, "VK504", &["secret/data/", "values"]),
            entry("policy without data/ (flags)", flags, no_data, "VK504", &["secret/data/"]),
            entry(
                "policy without metadata/",
                jwt,
                |setup| rules(setup, &[("secret/data/", "read")]),
                "VK504",
                &["secret/metadata/", "names"],
            ),
            entry("paths of version 1, KV of version 2", jwt, version_1_paths, "VK504", &["as if", "version 1"]),
            entry("paths of version 1, KV of version 2 (flags)", flags, version_1_paths, "VK504", &["version 1"]),
            entry("paths of version 2, KV of version 1", kv1, version_2_paths, "VK504", &["as if", "version 2"]),
            entry("paths of version 2, KV of version 1 (flags)", kv1_flags, version_2_paths, "VK504", &["version 2"]),
            entry("a typo in the policy's KV mount", jwt, typo, "VK504", &["the mount secrets/"]),
            entry("a typo in the policy's KV mount (flags)", flags, typo, "VK504", &["the mount secrets/"]),
            entry(
                "a typo in a KV mount with a slash",
                nested,
                nested_typo,
                "VK504",
                &["the mount team-", "/kw/, and the"],
            ),
            entry("a typo in a KV mount with a slash (flags)", nested_flags, nested_typo, "VK504", &["/kw/, and the"]),
            entry(
                "no data/ below a KV mount with a slash",
                nested,
                nested_no_data,
                "VK504",
                &["lacks team-", "/kv/data/"],
            ),
            entry(
                "a typo in the KV mount asked for",
                flags,
                |s| s.option("--kv", Some("secrte")),
                "VK503",
                &["secrte"],
            )
            .person(|setup| setup.option("--kv", Some("secret"))),
            entry("a path outside the policy", jwt, outside, "VK504", &["policies don't cover", "-other/x"])
                .person(|setup| setup.option("--path", Some(&format!("{}/db#password", setup.namespace)))),
            entry("a path outside the policy (flags)", flags, outside, "VK504", &["policies don't cover", "-other/x"]),
            entry("no policies on the role", jwt, no_policies, "VK501", &["default"]),
            entry("no policies on the role (flags)", flags, no_policies, "VK504", &["policies don't cover", "nothing"]),
            entry(
                // The policy that is made has the role's name: in a Vault of its own nobody else makes the same.
                "default alone on the role (flags)",
                own_default,
                |setup| setup.role(json!({ "token_policies": ["default"] })),
                "VK504",
                &["policies don't cover", "lookup-self"],
            ),
            entry("what default grants is no fault (flags)", own_default, default_grants, "VK502", &["no policies"]),
            entry("what an identity grants is no fault (flags)", flags, identity_grants, "VK501", &["identity adds"])
                .person(|setup| {
                    of_the_identity(setup, json!([]));
                    setup.role(json!({ "token_policies": [setup.policy] }));
                }),
            entry(
                "a path below the KV mount for the mount (flags)",
                flags,
                |setup| setup.option("--kv", Some("secret/data")),
                "VK503",
                &["a path of the mount secret/"],
            )
            .person(|setup| setup.option("--kv", Some("secret"))),
            entry("the policy root on the role", jwt, root, "VK431", &["cannot create root tokens"])
                .also(&["VK502"])
                .person(|setup| as_printed(setup, "VK502", 0)),
            entry("the policy root on the role (flags)", flags, root, "VK431", &["cannot create root tokens"])
                .also(&["VK502"])
                .person(|setup| as_printed(setup, "VK502", 0)),
        ],
    );
}

/// A KV mount that is gone concerns the roles whose policies are about it, and no others.
#[test]
fn a_kv_mount_of_one_role_is_gone() {
    let mut setup = Setup::new(own_vault());
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let (policy, namespace) = (&setup.policy, &setup.namespace);
    let other = format!("policies:\n  - {{ name: {policy}-kv1, kv: kv1, read: [{namespace}/*] }}\n");
    let role =
        format!("  - {{ name: r-kv1, serviceAccounts: [{namespace}/app], policies: [{policy}-kv1], ttl: 10m }}\n");
    std::fs::write(&setup.file, text.replace("policies:\n", &other) + &role).unwrap();
    setup.bootstrap();
    setup.args = ["verify-role", "--all", "-o", "json"].map(str::to_owned).into();
    setup.vault().delete("sys/mounts/kv1");
    let (code, said, all) = setup.verify();
    let causes = said["causes"].as_array().unwrap();
    assert!(code == 1 && causes.len() == 1, "{all}");
    assert_eq!((&causes[0]["id"], &causes[0]["about"]["role"]), (&json!("VK503"), &json!("r-kv1")), "{all}");
}

/// What is missing goes into the policy that is about the same KV mount already.
#[test]
fn rules_are_added_where_their_like_are() {
    let setup = Setup::new(second_flags());
    let second = format!("{}-second", setup.policy);
    rules(&setup, &[("kv1/", "read")]);
    as_printed(&setup, "VK504", 0);
    let text = |name: &str| setup.vault().read(&format!("sys/policies/acl/{name}"))["data"]["policy"].to_string();
    let path = format!("secret/data/{}/db", setup.namespace);
    assert!(!text(&setup.policy).contains(&path) && text(&second).contains(&path), "{}", text(&second));
}

/// What a policy that isn't there would allow is not called a lack of rights.
#[test]
fn a_missing_policy_is_not_said_to_be_unreadable() {
    let mut setup = Setup::new(flags());
    no_policy(&mut setup);
    let (_, _, all) = setup.verify();
    assert!(all.contains("VK502 has to hold first: p-catalogue-") && !all.contains("be read with this token"), "{all}");
}

#[test]
fn secrets_and_lifetime() {
    run(
        "the secret, and the life of the token",
        &[
            entry("property missing", jwt, no_property, "VK602", &["password", "passwort"]).person(put),
            entry("property missing (flags)", flags, no_property, "VK602", &["password", "passwort"]).person(put),
            entry("two properties missing", jwt, no_properties, "VK602", &["\"password\"", "\"user\"", "passwort"])
                .person(put_both),
            entry("two properties missing (flags)", flags, no_properties, "VK602", &["\"password\"", "\"user\""])
                .person(put_both),
            entry(
                "a secret deleted, another gone",
                jwt,
                deleted_and_gone,
                "VK601",
                &["was deleted", "no secret secret/app-"],
            )
            .person(both_there),
            entry("a secret gone, the property of another", flags, gone_and_lacking, "VK601", &["no secret", "/other"])
                .also(&["VK602"])
                .person(both_there),
            entry("secret deleted", jwt, deleted, "VK601", &["version (1)", "was deleted"]),
            entry("secret deleted (flags)", flags, deleted, "VK601", &["version (1)", "was deleted"]),
            entry("version destroyed", jwt, destroyed, "VK601", &["version (1)", "was destroyed"]).person(put),
            entry("version destroyed (flags)", flags, destroyed, "VK601", &["was destroyed"]).person(put),
            entry(
                "two of three secrets gone (flags)",
                flags,
                |setup| {
                    for name in ["one", "two"] {
                        setup.args.extend(["--path".to_owned(), format!("{}/{name}", setup.namespace)]);
                    }
                },
                "VK601",
                &["/one; there is no secret", "/two"],
            )
            .person(|setup| setup.args.truncate(setup.args.len() - 4)),
            entry(
                "fewer uses than secrets (flags)",
                flags,
                |setup| {
                    for name in ["one", "two"] {
                        let path = format!("secret/data/{}/{name}", setup.namespace);
                        setup.vault().write(&path, &json!({ "data": { "a": "b" } }));
                        setup.args.extend(["--path".to_owned(), format!("{}/{name}", setup.namespace)]);
                    }
                    setup.role(json!({ "token_num_uses": 3 }));
                },
                "VK702",
                &["3 times", "5 times"],
            ),
            entry(
                "a hard end of the role's own (flags)",
                flags,
                |setup| setup.role(json!({ "token_explicit_max_ttl": 60 })),
                "VK701",
                &["60 s", "600 s"],
            ),
            entry("secret gone", jwt, gone, "VK601", &["there is no secret"]).person(put),
            entry("secret gone (flags)", flags, gone, "VK601", &["there is no secret"]).person(put),
            entry("the mount's logins live too short", jwt, |setup| most(setup, "60s"), "VK701", &["60 s", "600 s"])
                .person(|setup| most(setup, "1h")),
            entry(
                "the role's tokens live shorter than the file says",
                jwt,
                |setup| setup.role(json!({ "token_ttl": 60 })),
                "VK701",
                &["60 s", "600 s"],
            ),
            entry("one use", jwt, once, "VK702", &["once"]),
            entry("one use (flags)", flags, once, "VK702", &["once"]),
            entry(
                "a secret without properties",
                jwt,
                |setup| {
                    setup.vault().write(&secret(setup, "data"), &json!({ "data": {} }));
                },
                "VK602",
                &["no property", "none"],
            )
            .person(put),
            entry(
                "default cut down",
                own_vault,
                trimmed_default,
                "VK703",
                &["path \"auth/token/lookup-self\"", "revoke-self"],
            ),
            entry(
                "default cut down (flags)",
                own_default,
                trimmed_default,
                "VK703",
                &["path \"auth/token/lookup-self\""],
            ),
            entry("no default policy", jwt, no_default, "VK501", &["default"]),
            entry("no default policy (flags)", flags, no_default, "VK703", &["look itself up"]),
        ],
    );
}
