//! Rights that come from elsewhere than the role's policies in the file: an identity, a changed policy, Vault's `default`.

use serde_json::{Value, json};

use super::access::{default_policy, entity, of_the_identity, own_vault};
use super::denials::{file_rules, no_rules};
use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt};

/// A policy with these rules, path and capabilities each, under a name of the entry's own.
fn policy(setup: &Setup, rules: &[(&str, &str)]) -> String {
    let name = format!("{}-elsewhere", setup.policy);
    let rule = |(path, words): &(&str, &str)| {
        let words: Vec<String> = words.split(' ').map(|word| format!("\"{word}\"")).collect();
        format!("path \"{}\" {{ capabilities = [{}] }}\n", path.replace("NS", &setup.namespace), words.join(", "))
    };
    setup.write_policy(&name, &rules.iter().map(rule).collect::<String>());
    name
}

/// The identity of who logs in adds a policy with these rules.
pub fn entity_adds(setup: &Setup, rules: &[(&str, &str)]) {
    let name = policy(setup, rules);
    of_the_identity(setup, json!([name]));
}

pub fn entity_adds_nothing(setup: &mut Setup) {
    of_the_identity(setup, json!([]));
}

/// A group of who logs in does.
pub fn group_adds(setup: &Setup, rules: &[(&str, &str)]) {
    let body = json!({ "policies": [policy(setup, rules)], "member_entity_ids": [entity(setup)] });
    setup.vault().write(&format!("identity/group/name/{}", setup.mount), &body);
}

pub fn no_group(setup: &mut Setup) {
    setup.vault().delete(&format!("identity/group/name/{}", setup.mount));
}

/// Vault's `default` has these lines more.
fn default_has(setup: &Setup, lines: &str) {
    setup.write_policy("default", &format!("{}\n# by hand\n{lines}", default_policy(setup)));
}

fn default_as_it_was(setup: &mut Setup) {
    let text = default_policy(setup);
    setup.write_policy("default", text.split_once("\n# by hand").unwrap().0);
}

/// The role's own policy has one rule more.
fn own_policy_has(setup: &Setup, path: &str) {
    let text = setup.vault().read(&format!("sys/policies/acl/{}", setup.policy))["data"]["policy"].clone();
    let rule = format!("\npath \"{path}\" {{ capabilities = [\"read\"] }}\n");
    setup.write_policy(&setup.policy, &(text.as_str().unwrap().to_owned() + &rule));
}

/// The same by an operator who may do less: everything but to read that policy.
fn operator_may_not_read(setup: &mut Setup) {
    let path = format!("sys/policies/acl/{}-elsewhere", setup.policy);
    operator_may_not(setup, &[&path]);
}

/// The same by an operator who may do less: everything but on these paths.
pub fn operator_may_not(setup: &mut Setup, paths: &[&str]) {
    let operator = format!("{}-operator", setup.policy);
    let deny = paths.iter().map(|path| format!("path \"{path}\" {{ capabilities = [\"deny\"] }}\n"));
    let all = "path \"*\" { capabilities = [\"read\", \"list\", \"update\", \"sudo\"] }\n".to_owned();
    setup.write_policy(&operator, &(all + &deny.collect::<String>()));
    let made = setup.vault().write("auth/token/create", &json!({ "policies": [operator], "ttl": "10m" }));
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    setup.environment.insert("VAULT_TOKEN", token);
}

/// What the file says that logins may do beyond their policies.
fn allow(setup: &Setup, path: &str, words: &str) {
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let path = path.replace("NS", &setup.namespace);
    let entry = format!("allow:\n  - {{ path: '{path}', capabilities: [{words}], why: of the platform }}\n");
    std::fs::write(&setup.file, text + &entry).unwrap();
}

#[track_caller]
pub fn no_alarm(setup: &Setup) {
    let (code, said, all) = setup.verify();
    let causes = said["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(code == 0 && causes.is_empty(), "exit {code}: {causes:#?}\n{}", if causes.is_empty() { &all } else { "" });
}

/// What is told of a check: its status and its words.
#[track_caller]
pub fn told(setup: &Setup, id: &str) -> (i32, Value) {
    let (code, said, all) = setup.verify();
    let causes = said["causes"].as_array().unwrap();
    let cause = causes.iter().find(|cause| cause["id"] == id).unwrap_or_else(|| panic!("no {id}: {all}"));
    (code, cause.clone())
}

#[test]
fn rights_from_elsewhere() {
    run(
        "rights from elsewhere",
        &[
            entry(
                "an entity's policy",
                jwt,
                |setup| entity_adds(setup, &[("secret/data/NS-payroll/x", "read list")]),
                "VK507",
                &["may also list, read on secret/data/", "-payroll/x, by the policy p-catalogue-", "-elsewhere"],
            )
            .person(entity_adds_nothing),
            entry(
                "a group's policy, with a denial of some names",
                jwt,
                |setup| {
                    group_adds(setup, &[("secret/data/NS-payroll/*", "read"), ("secret/data/NS-payroll/v*", "deny")]);
                },
                "VK507",
                &["may also read on secret/data/", "-payroll/*, by the policy "],
            )
            .person(no_group),
            entry(
                "a group's policy lets policies be written, but for some",
                jwt,
                |setup| {
                    group_adds(
                        setup,
                        &[
                            ("sys/policies/acl/*", "update"),
                            ("sys/policies/acl/vault*", "deny"),
                            ("sys/policies/acl/p-*", "deny"),
                        ],
                    );
                },
                "VK507",
                &["may also update on sys/policies/acl/*, by the policy "],
            )
            .also(&["VK508"])
            .person(no_group),
            entry(
                "a group's policy, in another mount",
                jwt,
                |setup| group_adds(setup, &[("kv1/NS/*", "read"), ("kv1/NS/deep/+/x", "update")]),
                "VK507",
                &["may also read on kv1/", "update on kv1/"],
            )
            .person(no_group),
            entry(
                "sudo on the role's own paths",
                jwt,
                |setup| entity_adds(setup, &[("secret/data/NS/*", "sudo")]),
                "VK507",
                &["may also sudo on secret/data/"],
            )
            .person(entity_adds_nothing),
            entry(
                "the policy of an entity names it by a template",
                jwt,
                |setup| entity_adds(setup, &[("kv1/teams/{{identity.entity.id}}/*", "read")]),
                "VK507",
                &["may also read on kv1/teams/", "by the policy"],
            )
            .person(entity_adds_nothing),
            entry(
                "a template whose value can't be known",
                jwt,
                |setup| entity_adds(setup, &[("kv1/teams/{{identity.entity.metadata.team}}/*", "read")]),
                "VK501",
                &["its identity adds"],
            )
            .also(&["VK507"])
            .person(entity_adds_nothing),
            entry(
                "the role's policy has a rule elsewhere",
                jwt,
                |setup| own_policy_has(setup, "kv1/payroll/x"),
                "VK507",
                &["may also read on kv1/payroll/x", "p-catalogue-"],
            ),
            entry(
                "default, elsewhere",
                own_vault,
                |setup| default_has(setup, "path \"kv1/payroll/*\" { capabilities = [\"read\"] }"),
                "VK507",
                &["may also read on kv1/payroll/*, by the policy default"],
            )
            .person(default_as_it_was),
            entry(
                "default, on paths of Vault itself",
                own_vault,
                |setup| default_has(setup, "path \"sys/mounts\" { capabilities = [\"read\"] }"),
                "VK507",
                &["may also read on sys/mounts, by the policy default"],
            )
            .person(default_as_it_was),
            entry(
                "an entity's policy (flags)",
                flags,
                |setup| entity_adds(setup, &[("kv1/NS/*", "read")]),
                "VK501",
                &["its identity adds"],
            )
            .also(&["VK507"])
            .person(entity_adds_nothing),
        ],
    );
}

/// The policy `default` as it was, with a rule for the role's own path that gives nothing and wants something of requests.
fn default_wants(setup: &mut Setup, fields: &str) {
    let rule = format!("path \"secret/data/{}/*\" {{\n capabilities = []\n {fields}\n}}", setup.namespace);
    default_has(setup, &rule);
}

/// A group adds a policy with a rule for the role's own path, and these fields in it.
fn group_wants(setup: &Setup, fields: &str) {
    group_adds(setup, &[("secret/data/NS/*", "read")]);
    let rule = format!("path \"secret/data/{}/*\" {{\n capabilities = [\"read\"]\n {fields}\n}}", setup.namespace);
    setup.write_policy(&format!("{}-elsewhere", setup.policy), &rule);
}

#[test]
fn what_other_policies_want_of_requests() {
    run(
        "what other policies want of requests",
        &[
            entry(
                "a group's policy wants a wrapped answer",
                jwt,
                |setup| group_wants(setup, "min_wrapping_ttl = \"5s\"\n max_wrapping_ttl = \"60s\""),
                "VK505",
                &["-elsewhere keeps the login from read on secret/data/", "min_wrapping_ttl = 5"],
            )
            .person(no_group),
            entry(
                "a group's policy wants a parameter (flags)",
                flags,
                |setup| group_wants(setup, "required_parameters = [\"x\"]"),
                "VK505",
                &["-elsewhere keeps the login from read on secret/data/", "required_parameters"],
            )
            .person(no_group),
            entry(
                "default wants a parameter",
                own_vault,
                |setup| default_wants(setup, "required_parameters = [\"x\"]"),
                "VK505",
                &["the policy default keeps the login from read on secret/data/"],
            )
            .person(default_as_it_was),
        ],
    );
}

/// What is wanted of those who write keeps nobody from reading.
#[test]
fn what_is_wanted_of_others_is_no_alarm() {
    let mut setup = Setup::new(jwt());
    group_wants(&setup, "allowed_parameters = { \"x\" = [] }");
    no_alarm(&setup);
    no_group(&mut setup);
    // A bootstrap says it of its logins.
    group_wants(&setup, "required_parameters = [\"x\"]");
    let answer = setup.shell(&format!("vaultk8s bootstrap --yes -f {}", setup.file.display()));
    let text = super::setup::shown(&answer);
    assert!(answer.status.code() == Some(1) && text.contains("VK505 the policy "), "{text}");
}

/// What may not be read can't be called nothing; and what the login itself is told of it fails all the same.
#[test]
fn a_policy_that_may_not_be_read() {
    let mut setup = Setup::new(jwt());
    entity_adds(&setup, &[("secret/data/NS/*", "read")]);
    operator_may_not_read(&mut setup);
    let (code, cause) = told(&setup, "VK507");
    let (said, remedies) = (cause["detail"].to_string(), cause["remedies"].to_string());
    assert!(code == 0 && cause["status"] == "warning", "{cause}");
    assert!(said.contains("can't tell what the policy ") && said.contains("-elsewhere gives"), "{said}");
    assert!(remedies.contains("sys/policies/acl/") && remedies.contains("-elsewhere"), "{remedies}");
    entity_adds(&setup, &[("kv1/payroll/*", "read")]);
    let (code, cause) = told(&setup, "VK507");
    assert!(
        code == 1 && cause["detail"].to_string().contains("may also read on kv1/payroll/*, by the policy "),
        "{cause}"
    );
}

/// Nor is the login told of it, and then nobody knows: that is not in order, and one rule more for the operator makes it known.
#[test]
fn a_policy_of_which_nobody_tells() {
    let mut setup = Setup::new(jwt());
    let mute = ("sys/internal/ui/resultant-acl", "deny");
    entity_adds(&setup, &[("kv1/payroll/*", "read"), mute]);
    let root = setup.environment.get("VAULT_TOKEN").cloned();
    operator_may_not_read(&mut setup);
    let (code, cause) = told(&setup, "VK507");
    assert!(code == 1 && cause["status"] == "failed", "{cause}");
    let (said, remedies) = (cause["detail"].to_string(), cause["remedies"].to_string());
    assert!(said.contains("can't tell what the policy ") && said.contains("-elsewhere gives"), "{said}");
    let grant = format!("path \\\"sys/policies/acl/{}-elsewhere\\\" {{ capabilities = [\\\"read\\\"] }}", setup.policy);
    assert!(remedies.contains(&grant), "{remedies}");
    let answer = setup.shell(&format!("vaultk8s bootstrap --yes -f {}", setup.file.display()));
    let text = super::setup::shown(&answer);
    assert!(answer.status.code() == Some(1) && text.contains("VK507 can't tell what the policy "), "{text}");
    // Of the same policy, who may read it knows what it gives: nothing.
    entity_adds(&setup, &[mute]);
    match root {
        Some(token) => setup.environment.insert("VAULT_TOKEN", token),
        None => setup.environment.remove("VAULT_TOKEN"),
    };
    no_alarm(&setup);
}

/// What the identity of every role adds is one cause.
#[test]
fn what_several_roles_get_is_told_once() {
    let mut setup = Setup::new(jwt());
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let role =
        text.lines().find(|line| line.contains("name: r-app")).unwrap().replace("r-app", "r-{each}, each: [one, two]");
    std::fs::write(&setup.file, format!("{text}{role}\n")).unwrap();
    setup.bootstrap();
    entity_adds(&setup, &[("kv1/payroll/*", "read")]);
    setup.args = ["verify-role", "--all", "-o", "json"].map(str::to_owned).into();
    let (code, said, all) = setup.verify();
    let causes: Vec<&Value> =
        said["causes"].as_array().unwrap().iter().filter(|cause| cause["id"] == "VK507").collect();
    assert!(code == 1 && causes.len() == 1, "{all}");
    assert_eq!(causes[0]["alsoAbout"].as_array().unwrap().len(), 2, "{}", causes[0]);
    // A bootstrap says it of each of its logins, and fails.
    let answer = setup.shell(&format!("vaultk8s bootstrap --yes --approve take-over -f {}", setup.file.display()));
    let text = super::setup::shown(&answer);
    assert!(
        answer.status.code() == Some(1) && text.contains("VK507 the login may also read on kv1/payroll/*"),
        "{text}"
    );
}

/// What the file allows is no fault, wherever it comes from; what is beside it is.
#[test]
fn what_is_allowed_is_no_alarm() {
    let setup = Setup::new(jwt());
    entity_adds(&setup, &[("kv1/shared/NS/*", "read list"), ("secret/data/NS/*", "update")]);
    allow(&setup, "kv1/shared/+/*", "read, list");
    let (code, cause) = told(&setup, "VK507");
    let detail = cause["detail"].to_string();
    assert!(code == 1 && detail.contains("update on secret/data/") && !detail.contains("kv1"), "{detail}");
    assert!(cause["remedies"].to_string().contains("`allow: [{ path: secret/data/"), "{cause}");
    entity_adds(&setup, &[("kv1/shared/NS/*", "read list")]);
    no_alarm(&setup);
    setup.bootstrap();
}

/// Of what the file's own policies give, an identity may add it once more, and what it denies is nothing that is added.
#[test]
fn an_identity_that_adds_nothing_is_no_alarm() {
    let setup = Setup::new(jwt());
    entity_adds(
        &setup,
        &[("secret/data/NS/deep/*", "read"), ("secret/data/NS-x/*", "deny"), ("sys/tools/hash", "update")],
    );
    no_alarm(&setup);
}

/// Servers that were set up long ago have rules in `default` that those of today don't, and the other way round.
#[test]
fn an_old_default_is_no_alarm() {
    let setup = Setup::new(own_vault());
    let old = ["sys/renew", "sys/tools/random", "sys/tools/random/*", "sys/control-group/request"]
        .map(|path| format!("path \"{path}\" {{ capabilities = [\"update\"] }}\n"));
    let text =
        default_policy(&setup).replace("path \"sys/internal/ui/resultant-acl\"", "path \"sys/internal/ui/version\"");
    setup.write_policy("default", &(text + "\n" + &old.concat()));
    no_alarm(&setup);
    setup.bootstrap();
}

/// A template of the file's own is meant as what the identity of who logs in makes of it, and asked about as that.
#[test]
fn a_template_of_the_file_gives_nothing_beyond_it() {
    let mut setup = Setup::new(jwt());
    file_rules(&mut setup, &[("'kv1/{{identity.entity.id}}/*'", "read")]);
    let (code, said, all) = setup.verify();
    let ids: Vec<&Value> = said["causes"].as_array().unwrap().iter().map(|cause| &cause["id"]).collect();
    assert!(code == 0 && ids.is_empty(), "{all}");
    let id = entity(&setup);
    assert!(said.to_string().contains(&format!("read kv1/{id}/*")), "{all}");
    no_rules(&mut setup);
    no_alarm(&setup);
}

/// A template of the file is about somebody's name, or somebody's team: not about what others add.
#[test]
fn a_template_of_the_file_hides_nothing_that_others_add() {
    for template in ["{{identity.entity.name}}", "{{identity.entity.metadata.team}}"] {
        let mut setup = Setup::new(jwt());
        file_rules(&mut setup, &[(&format!("'secret/data/{template}/*'"), "read")]);
        group_adds(&setup, &[("secret/data/NS-payroll/*", "read")]);
        let (code, cause) = told(&setup, "VK507");
        let detail = cause["detail"].to_string();
        assert!(code == 1 && detail.contains("may also read on secret/data/"), "{template}: exit {code} {cause}");
        assert!(detail.contains("-payroll/*, by the policy ") && detail.contains("-elsewhere"), "{cause}");
        no_group(&mut setup);
        no_rules(&mut setup);
        no_alarm(&setup);
    }
}

/// What the template comes to is meant, whoever gives it once more; and what is called so by somebody else isn't.
#[test]
fn a_template_whose_value_is_known_means_that() {
    let mut setup = Setup::new(jwt());
    file_rules(&mut setup, &[("'kv1/teams/{{identity.entity.metadata.team}}/*'", "read")]);
    let id = entity(&setup);
    setup.vault().write(&format!("identity/entity/id/{id}"), &json!({ "metadata": { "team": "shop" } }));
    entity_adds(&setup, &[("kv1/teams/shop/*", "read")]);
    let (code, said, all) = setup.verify();
    let ids: Vec<&Value> = said["causes"].as_array().unwrap().iter().map(|cause| &cause["id"]).collect();
    assert!(code == 0 && !ids.contains(&&json!("VK507")), "{all}");
    entity_adds(&setup, &[("kv1/teams/pay/*", "read")]);
    let (code, cause) = told(&setup, "VK507");
    assert!(code == 1 && cause["detail"].to_string().contains("may also read on kv1/teams/pay/*"), "{cause}");
    // An allowance whose value nobody knows is the file's word, and may mean it.
    allow(&setup, "kv1/teams/{{identity.entity.metadata.crew}}/*", "read");
    let (code, cause) = told(&setup, "VK507");
    assert!(code == 0 && cause["status"] == "warning", "{cause}");
}

/// The same operator may look at policies and roles, and at no KV mount: what the file's policies come to, the login is told.
fn operator_sees_no_kv(setup: &mut Setup) {
    let operator = format!("{}-operator", setup.policy);
    let rules = [
        ("sys/policies/acl/*", "read"),
        ("sys/auth", "read"),
        ("auth/*", "read\", \"list"),
        ("sys/capabilities-accessor", "update"),
        ("identity/*", "read\", \"update"),
    ];
    let rules = rules.map(|(path, words)| format!("path \"{path}\" {{ capabilities = [\"{words}\"] }}\n"));
    setup.write_policy(&operator, &rules.concat());
    let made = setup.vault().write("auth/token/create", &json!({ "policies": [operator], "ttl": "10m" }));
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    setup.environment.insert("VAULT_TOKEN", token);
    setup.option("--kv", None);
    setup.option("--path", None);
}

#[test]
fn a_policy_of_the_file_is_known_though_its_kv_mount_is_not() {
    for kv1 in [false, true] {
        let mut setup = Setup::new(Shape { kv1, ..jwt() });
        let root = setup.environment["VAULT_TOKEN"].clone();
        operator_sees_no_kv(&mut setup);
        no_alarm(&setup);
        let path = if kv1 { "kv1/payroll/*" } else { "secret/data/payroll/*" };
        own_policy_has(&setup, path);
        let (code, cause) = told(&setup, "VK507");
        let detail = cause["detail"].to_string();
        assert!(code == 1 && detail.contains(&format!("may also read on {path}")), "exit {code}: {cause}");
        setup.environment.insert("VAULT_TOKEN", root);
        setup.bootstrap();
        no_alarm(&setup);
    }
}

/// What one login may not see of a KV mount, another is asked all the same: else what it lacks would pass for unknown.
#[test]
fn a_kv_mount_that_one_login_may_not_see_another_may() {
    let mut setup = Setup::new(jwt());
    let (policy, namespace) = (setup.policy.clone(), setup.namespace.clone());
    let blind = format!("{policy}-blind");
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let text = text
        .replace("policies:\n  -", &format!("policies:\n  - {{ name: {blind}, read: [{namespace}-blind/*] }}\n  -"))
        .replace(
            "roles:\n",
            &format!(
                "roles:\n  - {{ name: r-blind, serviceAccounts: [{namespace}/app], policies: [{blind}], ttl: 10m }}\n"
            ),
        );
    std::fs::write(&setup.file, text).unwrap();
    setup.bootstrap();
    operator_sees_no_kv(&mut setup);
    setup.args = ["verify-role", "--all", "-o", "json", "--parallelism", "1"].map(str::to_owned).into();
    no_alarm(&setup);
    let rule = |path: &str| format!("path \"{path}\" {{ capabilities = [\"read\"] }}\n");
    setup.write_policy(&blind, &rule("cubbyhole/x"));
    setup.write_policy(&policy, &rule(&format!("secret/data/{namespace}/db")));
    let (code, said, all) = setup.verify();
    let lacks = said["causes"].as_array().unwrap().iter().find(|cause| {
        cause["about"]["role"] == "r-app" && cause["detail"].to_string().contains(&format!("secret/data/{namespace}/"))
    });
    assert!(code == 1 && lacks.is_some_and(|cause| cause["id"] == "VK506"), "{all}");
}
