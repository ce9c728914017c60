//! Rules that deny what the login is meant to do.

use serde_json::json;

use super::access::{entity, kv1, rules, second};
use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt};

fn denied(setup: &mut Setup) {
    let other = format!("{}-deny", setup.policy);
    setup.write_policy(&other, &format!("path \"secret/data/{}/*\" {{ capabilities = [\"deny\"] }}", setup.namespace));
    setup.role(json!({ "token_policies": [setup.policy, other] }));
}

/// One secret of those that the only policy grants is taken back by a rule of its own.
fn denied_by_itself(setup: &mut Setup) {
    let rule =
        |path: &str, capability: &str| format!("path \"secret/{path}\" {{ capabilities = [\"{capability}\"] }}\n");
    let namespace = &setup.namespace;
    let text = rule(&format!("data/{namespace}/*"), "read")
        + &rule(&format!("metadata/{namespace}/*"), "list")
        + &rule(&format!("data/{namespace}/db"), "deny");
    setup.write_policy(&setup.policy, &text);
}

/// A rule that denies all, which a narrower one overrules that lacks what is needed: it is not the denial that decides.
fn denied_in_vain(setup: &mut Setup) {
    let namespace = &setup.namespace;
    let text = format!(
        "path \"secret/data/*\" {{ capabilities = [\"deny\"] }}
         path \"secret/data/{namespace}/*\" {{ capabilities = [\"list\"] }}
         path \"secret/metadata/{namespace}/*\" {{ capabilities = [\"list\"] }}"
    );
    setup.write_policy(&setup.policy, &text);
}

/// The path of the identity group of an entry.
fn group(setup: &Setup) -> String {
    format!("identity/group/name/{}", setup.mount)
}

/// A policy that denies the secret comes by a group of who logs in.
fn denied_by_a_group(setup: &mut Setup) {
    let name = format!("{}-deny", setup.policy);
    setup.write_policy(&name, &format!("path \"secret/data/{}/*\" {{ capabilities = [\"deny\"] }}", setup.namespace));
    setup.vault().write(&group(setup), &json!({ "policies": [name], "member_entity_ids": [entity(setup)] }));
}

fn no_group(setup: &mut Setup) {
    setup.vault().delete(&group(setup));
}

fn second_denies(setup: &mut Setup) {
    let rule = |path: &str, capability| {
        format!("path \"secret/data/{}{path}/*\" {{ capabilities = [\"{capability}\"] }}\n", setup.namespace)
    };
    setup.write_policy(&format!("{}-second", setup.policy), &(rule("-second", "read") + &rule("", "deny")));
}

/// Lets the file's policy have these rules beside its own: path, with `NS` for the namespace, and capability. Then Vault holds it.
pub fn file_rules(setup: &mut Setup, rules: &[(&str, &str)]) {
    let rule = |(path, word): &(&str, &str)| {
        format!("      - {{ path: {}, capabilities: [{word}] }}\n", path.replace("NS", &setup.namespace))
    };
    let rules = format!("    rules:\n{}roles:\n", rules.iter().map(rule).collect::<String>());
    let text = std::fs::read_to_string(&setup.file).unwrap();
    std::fs::write(&setup.file, text.replace("roles:\n", &rules)).unwrap();
    // What it finds is for verify-role to tell.
    setup.shell(&format!("vaultk8s bootstrap --yes --approve take-over -f {}", setup.file.display()));
}

/// The file as it was, and Vault too.
pub fn no_rules(setup: &mut Setup) {
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let (before, rest) = text.split_once("    rules:\n").unwrap();
    let (_, after) = rest.split_once("roles:\n").unwrap();
    std::fs::write(&setup.file, format!("{before}roles:\n{after}")).unwrap();
    setup.bootstrap();
}

/// A policy of who logs in, by a group, which names a path more closely than the file's denial.
fn a_group_outranks(setup: &mut Setup) {
    file_rules(setup, &[("secret/data/NS/admins/*", "deny")]);
    let name = format!("{}-group", setup.policy);
    let path = format!("secret/data/{}/admins/root", setup.namespace);
    setup.write_policy(&name, &format!("path \"{path}\" {{ capabilities = [\"read\"] }}"));
    setup.vault().write(&group(setup), &json!({ "policies": [name], "member_entity_ids": [entity(setup)] }));
}

/// The same without a file: the role's own policy, by hand.
fn misplaced_by_hand(setup: &mut Setup) {
    let rule = |path: &str, word: &str| {
        format!("path \"secret/{}\" {{ capabilities = [\"{word}\"] }}\n", path.replace("NS", &setup.namespace))
    };
    let text = rule("data/NS/*", "read") + &rule("metadata/NS/*", "list") + &rule("NS/admins", "deny");
    setup.write_policy(&setup.policy, &text);
}

#[test]
fn denials_that_deny_nothing() {
    run(
        "rules that deny nothing",
        &[
            entry(
                "a denial without data/",
                jwt,
                |setup| file_rules(setup, &[("secret/NS/admins", "deny")]),
                "VK506",
                &["denies nothing", "version 2", "read on secret/data/"],
            )
            .person(no_rules),
            entry(
                "a denial without data/ (flags)",
                flags,
                misplaced_by_hand,
                "VK506",
                &["denies nothing", "version 2", "read on secret/data/"],
            )
            .person(|setup| rules(setup, &[("secret/data/", "read"), ("secret/metadata/", "list")])),
            entry(
                "a denial of a folder in every folder",
                jwt,
                |setup| file_rules(setup, &[("secret/data/NS/+/private/*", "deny")]),
                "VK506",
                &["does not hold", "/private/", "where secret/data/", "of the policy p-catalogue-"],
            )
            .person(no_rules),
            entry(
                "a denial across folders",
                jwt,
                |setup| file_rules(setup, &[("secret/data/+/admins", "deny")]),
                "VK506",
                &["does not hold", "may read on secret/data/", "/admins"],
            )
            .person(no_rules),
            entry(
                "a denial across parts of the mount",
                jwt,
                |setup| file_rules(setup, &[("secret/+/NS/admins", "deny")]),
                "VK506",
                &["does not hold", "/admins"],
            )
            .person(no_rules),
            entry(
                "a denial of names that a list passes by",
                jwt,
                |setup| file_rules(setup, &[("secret/metadata/NS/+", "deny")]),
                "VK506",
                &["may list on secret/metadata/", "does not hold"],
            )
            .person(no_rules),
            entry(
                "a denial with data/ in a mount of version 1",
                kv1,
                |setup| file_rules(setup, &[("kv1/data/NS/admins", "deny")]),
                "VK506",
                &["version 1", "may list, read on kv1/"],
            )
            .person(no_rules),
            entry(
                "a denial on a mount that is called almost like that",
                jwt,
                |setup| file_rules(setup, &[("secrets/data/NS/admins", "deny")]),
                "VK506",
                &["denies nothing", "there is no mount secrets/, the nearest is secret/"],
            )
            .person(no_rules),
            entry(
                "a denial on an auth mount that isn't there (with one that works)",
                jwt,
                |setup| file_rules(setup, &[("auth/no-such-method/config", "deny"), ("secret/data/NS/admins", "deny")]),
                "VK506",
                &["denies nothing", "there is no mount auth/no-such-method/"],
            )
            .person(no_rules),
            entry(
                "a denial that a policy of a group outranks",
                jwt,
                a_group_outranks,
                "VK507",
                &["may also read on secret/data/", "/admins/root", "-group"],
            )
            .also(&["VK506"])
            .person(|setup| {
                no_group(setup);
                no_rules(setup);
            }),
        ],
    );
}

/// A file may take back on one level what it gives on all.
#[test]
fn a_denial_on_one_level_is_no_alarm() {
    let mut setup = Setup::new(jwt());
    setup.option("--path", None);
    file_rules(&mut setup, &[("secret/data/NS/+", "deny")]);
    let (code, said, all) = setup.verify();
    assert!(code == 0 && said["causes"].as_array().is_some_and(Vec::is_empty), "{all}");
    setup.bootstrap();
}

/// Before anybody logs in, `plan` and `rehearse` say it with the line.
#[test]
fn a_plan_and_a_rehearsal_tell_of_them() {
    let mut setup = Setup::new(jwt());
    let rules = [
        ("secret/NS/admins", "deny"),
        ("secret/data/NS/+/private/*", "deny"),
        ("kv1/data/NS/x", "read"),
        ("secrets/data/NS/x", "deny"),
    ];
    file_rules(&mut setup, &rules);
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let line = |rule: &str| {
        let at = text.lines().position(|line| line.contains(&rule.replace("NS", &setup.namespace))).unwrap();
        format!("{}:{}:", setup.file.display(), at + 1)
    };
    let [misplaced, outranked, version_1, absent] = rules.map(|(rule, _)| line(rule));
    let program = lab::shared().vault_program();
    let rehearse = format!("VAULTK8S_VAULT_BIN='{}' vaultk8s rehearse -f {}", program.display(), setup.file.display());
    for command in [format!("vaultk8s plan -f {}", setup.file.display()), rehearse] {
        let answer = setup.shell(&command);
        let said = super::setup::shown(&answer);
        assert!(answer.status.success(), "{said}");
        let one = |place: &str, words: &[&str]| {
            let found = said.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{place}: {said}"));
            for word in words {
                assert!(found.contains(word), "{word}: {found}");
            }
        };
        one(&misplaced, &["nothing is at secret/", "version 2"]);
        one(
            &outranked,
            &["does not deny all of", &format!("the rule secret/data/{}/* of the policy", setup.namespace)],
        );
        one(&absent, &["denies nothing", "there is no mount secrets/, the nearest is secret/"]);
        // Which mounts there are beside the file's, only a server says.
        if command.starts_with("vaultk8s plan") {
            one(&version_1, &["version 1"]);
        }
    }
}

/// Denials that hold give no alarm, exceptions from them and what they don't reach neither.
#[test]
fn denials_that_hold() {
    for (shape, rules) in [
        (jwt as fn() -> Shape, &[("secret/data/NS/admins", "deny"), ("secret/metadata/NS/admins", "deny")][..]),
        (jwt, &[("secret/data/NS/admins/*", "deny"), ("secret/data/NS/admins/notes", "read")]),
        (jwt, &[("secret/metadata/NS/admins/*", "deny"), ("secret/data/NS/x+y", "deny")]),
        (jwt, &[("secret/destroy/*", "deny"), ("sys/tools/random", "deny")]),
        (kv1, &[("kv1/NS/admins/*", "deny"), ("kv1/NS/one", "deny")]),
        // Vault's policy default makes exceptions from these.
        (jwt, &[("sys/*", "deny"), ("identity/*", "deny"), ("auth/token/*", "deny")]),
        (jwt, &[("auth/*", "deny"), ("+/token/*", "deny"), ("'*'", "deny")]),
    ] {
        let mut setup = Setup::new(shape());
        file_rules(&mut setup, rules);
        let (code, said, all) = setup.verify();
        let alarms: Vec<_> = said["causes"].as_array().unwrap().iter().collect();
        assert!(code == 0 && alarms.is_empty(), "{rules:?}: {alarms:#?}\n{all}");
    }
}

#[test]
fn denials() {
    run(
        "rules that deny",
        &[
            entry("another policy of the role denies it", second, second_denies, "VK505", &["-second", "denies"]),
            entry("a policy that denies it was added to the role", jwt, denied, "VK501", &["-deny"]),
            entry("another policy denies it (flags)", flags, denied, "VK505", &["-deny"]),
            entry("the only policy denies it", jwt, denied_by_itself, "VK504", &["denies secret/data/", "deny on"]),
            entry(
                "the only policy denies it (flags)",
                flags,
                denied_by_itself,
                "VK504",
                &["denies secret/data/", "deny on"],
            )
            .person(|setup| rules(setup, &[("secret/data/", "read"), ("secret/metadata/", "list")])),
            entry(
                "a denial that a narrower rule overrules (flags)",
                flags,
                denied_in_vain,
                "VK504",
                &["the policy lacks secret/data/", "deny on secret/data/*", "list on secret/data/"],
            ),
            entry(
                "a policy of a group denies it",
                jwt,
                denied_by_a_group,
                "VK505",
                &["-deny denies", "deny on secret/"],
            )
            .person(no_group),
            entry(
                "a policy of a group denies it (flags)",
                flags,
                denied_by_a_group,
                "VK505",
                &["-deny denies", "deny on"],
            )
            .person(no_group),
        ],
    );
}
