//! Rules that leave less, or more, than they seem to: what others take of a part of a grant, what a slash or a scan passes by, and
//! grants in vain.

use serde_json::json;

use super::access::{entity, second};
use super::denials::{file_rules, no_rules};
use super::entry::{entry, run};
use super::setup::{Setup, jwt, shown};

/// The path of the identity group of an entry.
fn group(setup: &Setup) -> String {
    format!("identity/group/name/{}", setup.mount)
}

/// A group of who logs in brings a policy with this rule, below the folder that the file grants.
fn a_group_takes(setup: &mut Setup, below: &str, capabilities: &str) {
    let name = format!("{}-part", setup.policy);
    let path = format!("secret/data/{}/{below}", setup.namespace);
    setup.write_policy(&name, &format!("path \"{path}\" {{ capabilities = [{capabilities}] }}"));
    setup.vault().write(&group(setup), &json!({ "policies": [name], "member_entity_ids": [entity(setup)] }));
}

/// In the file, the second policy of the role denies all names that the first one lets be listed; or no longer.
fn second_denies(setup: &mut Setup, denies: bool) {
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let (without, with) = (
        "-second/*] }".to_owned(),
        format!("-second/*], rules: [{{ path: 'secret/metadata/{}/*', capabilities: [deny] }}] }}", setup.namespace),
    );
    let (from, to) = if denies { (without, with) } else { (with, without) };
    assert!(text.contains(&from), "{text}");
    std::fs::write(&setup.file, text.replace(&from, &to)).unwrap();
    // What it finds is for verify-role to tell.
    setup.shell(&format!("vaultk8s bootstrap --yes --approve take-over -f {}", setup.file.display()));
}

fn no_group(setup: &mut Setup) {
    setup.vault().delete(&group(setup));
}

#[test]
fn rules_that_leave_less_or_more() {
    run(
        "rules that leave less, or more",
        &[
            entry(
                "a group denies one secret of those that the file grants",
                jwt,
                |setup| a_group_takes(setup, "minio", "\"deny\""),
                "VK505",
                &["-part takes read on secret/data/", "/minio away", "deny on secret/data/"],
            )
            .person(no_group),
            entry(
                "a rule of a group that allows nothing there",
                jwt,
                |setup| a_group_takes(setup, "m*", ""),
                "VK505",
                &["-part takes read on secret/data/", "/m* away", "none on secret/data/"],
            )
            .person(no_group),
            entry(
                "a slash passes by a denial",
                jwt,
                |setup| file_rules(setup, &[("secret/data/NS/*", "read, delete"), ("secret/data/NS/x", "deny")]),
                "VK506",
                &["does not hold", "may delete the same secret at secret/data/", "/x/, where secret/data/"],
            )
            .person(no_rules),
            entry(
                "a slash passes by a narrower rule",
                jwt,
                |setup| file_rules(setup, &[("secret/data/NS/*", "read, delete"), ("secret/data/NS/x", "read")]),
                "VK506",
                &["narrows what may be done at", "may delete the same secret at secret/data/"],
            )
            .person(no_rules),
            entry(
                "a denial leaves nothing of a grant",
                second,
                |setup| second_denies(setup, true),
                "VK506",
                &["gives nothing", "secret/metadata/"],
            )
            .person(|setup| second_denies(setup, false)),
            entry(
                "a role that may delete what denies it something",
                jwt,
                |setup| file_rules(setup, &[("secret/data/NS/private", "deny"), ("sys/policies/acl/*", "delete")]),
                "VK508",
                &["delete policies that deny it something"],
            )
            .person(no_rules),
            entry(
                "a template of its own name",
                jwt,
                |setup| file_rules(setup, &[("'identity/entity/name/{{identity.entity.name}}'", "read, update")]),
                "VK506",
                &["{{identity.entity.name}}"],
            )
            .also(&["VK508"])
            .person(no_rules),
        ],
    );
}

/// OpenBao alone knows `scan`.
#[test]
fn a_scan_of_a_folder_above() {
    let setup = Setup::new(jwt());
    let rule = "path \"secret/metadata/x\" { capabilities = [\"scan\"] }";
    let name = format!("{}-scan", setup.policy);
    if setup.vault().post(&format!("sys/policies/acl/{name}"), &json!({ "policy": rule })).0 >= 400 {
        return;
    }
    run(
        "a scan",
        &[entry(
            "a scan of a folder above tells what is denied",
            jwt,
            |setup| file_rules(setup, &[("secret/metadata/NS/*", "list, scan"), ("secret/metadata/NS/x/*", "deny")]),
            "VK506",
            &["does not keep its names", "may scan on secret/metadata/"],
        )
        .person(no_rules)],
    );
}

/// What servers do, whatever `sys/capabilities` says: the reason for it all.
#[test]
fn a_slash_deletes_the_secret_that_is_denied() {
    let setup = Setup::new(jwt());
    let (folder, vault) = (lab::unique("slash"), setup.vault());
    let path = |part: &str, end: &str| format!("secret/{part}/{folder}/x{end}");
    let rules = format!(
        "path \"secret/data/{folder}/*\" {{ capabilities = [\"read\", \"delete\"] }}
         path \"secret/metadata/{folder}/*\" {{ capabilities = [\"read\", \"delete\"] }}
         path \"{}\" {{ capabilities = [\"deny\"] }}
         path \"{}\" {{ capabilities = [\"deny\"] }}",
        path("data", ""),
        path("metadata", "")
    );
    setup.write_policy(&folder, &rules);
    let login = |policies: &[&str]| {
        let made = vault.write("auth/token/create", &json!({ "policies": policies }));
        vault.with_token(made["auth"]["client_token"].as_str().unwrap())
    };
    let bound = login(&[&folder]);
    let secret = || vault.write(&path("data", ""), &json!({ "data": { "password": "p" } }));
    secret();
    assert_eq!((bound.delete(&path("data", "")).0, bound.delete(&path("data", "/")).0), (403, 204));
    assert_eq!(vault.get(&path("data", "")).0, 404, "it is gone");
    secret();
    assert_eq!((bound.get(&path("metadata", "")).0, bound.get(&path("metadata", "/")).0), (403, 200));
    assert_eq!((bound.delete(&path("metadata", "")).0, bound.delete(&path("metadata", "/")).0), (403, 204));
    assert_eq!(vault.get(&path("metadata", "")).0, 404);
    // With the remedy that is told.
    let closed = format!("{folder}-closed");
    let also =
        ["data", "metadata"].map(|part| format!("path \"{}\" {{ capabilities = [\"deny\"] }}\n", path(part, "/")));
    setup.write_policy(&closed, &also.concat());
    secret();
    let bound = login(&[&folder, &closed]);
    for part in ["data", "metadata"] {
        assert_eq!((bound.delete(&path(part, "")).0, bound.delete(&path(part, "/")).0), (403, 403), "{part}");
    }
}

/// Before anybody logs in, `plan` and `rehearse` say it with the line, and what is expected isn't kept.
#[test]
fn a_plan_and_a_rehearsal_tell_of_a_slash() {
    let mut setup = Setup::new(jwt());
    let expect = |setup: &Setup| {
        let text = std::fs::read_to_string(&setup.file).unwrap();
        let (text, _) = text.split_once("expect:").unwrap_or((text.as_str(), ""));
        let cannot =
            format!("expect:\n  - {{ serviceAccounts: {0}/app, cannot: delete, paths: {0}/x }}\n", setup.namespace);
        std::fs::write(&setup.file, format!("{text}{cannot}")).unwrap();
    };
    let program = lab::shared().vault_program();
    let rehearse = format!("VAULTK8S_VAULT_BIN='{}' vaultk8s rehearse -f {}", program.display(), setup.file.display());
    let wide = ("secret/data/NS/*", "read, delete");
    file_rules(&mut setup, &[wide, ("secret/data/NS/x", "deny")]);
    expect(&setup);
    let warned = format!("this does not keep secret/data/{}/x from delete", setup.namespace);
    let plan = shown(&setup.shell(&format!("vaultk8s plan -f {}", setup.file.display())));
    assert!(plan.contains(&warned), "{plan}");
    let answer = setup.shell(&rehearse);
    let said = shown(&answer);
    let broken = format!("can, through r-app, on secret/data/{}/x/", setup.namespace);
    assert!(answer.status.code() == Some(1) && said.contains(&broken) && said.contains(&warned), "{said}");
    // With the rule that is told to be missing.
    no_rules(&mut setup);
    file_rules(&mut setup, &[wide, ("secret/data/NS/x", "deny"), ("secret/data/NS/x/", "deny")]);
    expect(&setup);
    let answer = setup.shell(&rehearse);
    let said = shown(&answer);
    assert!(answer.status.success() && !said.contains("this does not keep"), "{said}");
    let (code, found, all) = setup.verify();
    assert!(code == 0 && found["causes"].as_array().is_some_and(Vec::is_empty), "{all}");
}
