//! Whether a login could give itself more than its policies say: asked of a server, whoever grants it.

use serde_json::{Value, json};

use super::access::entity;
use super::setup::{Setup, flags, jwt};

/// The result of the check of what the login could give itself.
fn looked_at(setup: &mut Setup) -> (i32, Value) {
    one(setup, "VK508")
}

/// The result of one check.
fn one(setup: &mut Setup, id: &str) -> (i32, Value) {
    setup.option("--only", Some(id));
    let (code, said, all) = setup.verify();
    let sections = said["sections"].as_array().unwrap_or_else(|| panic!("{all}"));
    let mut checks = sections.iter().flat_map(|section| section["checks"].as_array().into_iter().flatten());
    let check = checks.find(|check| check["id"] == id).unwrap_or_else(|| panic!("{all}"));
    (code, check.clone())
}

#[track_caller]
fn expect(setup: &mut Setup, code: i32, status: &str, words: &[&str]) {
    let (found, check) = looked_at(setup);
    assert_eq!((found, check["status"].as_str()), (code, Some(status)), "{check:#}");
    let detail = check["detail"].as_str().unwrap();
    assert!(words.iter().all(|words| detail.contains(words)), "{words:?} in {detail}");
}

/// Adds rules to the policy in the file, and lets Vault hold them.
fn in_the_file(setup: &Setup, rules: &str) {
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let list = format!("    list: [{}/*]\n", setup.namespace);
    assert!(text.contains(&list));
    std::fs::write(&setup.file, text.replace(&list, &format!("{list}    rules: [{rules}]\n"))).unwrap();
    setup.bootstrap();
}

/// Gives the identity of who logs in a policy of its own.
fn to_the_identity(setup: &Setup, rules: &str) {
    let name = format!("{}-identity", setup.policy);
    setup.write_policy(&name, rules);
    setup.vault().write(&format!("identity/entity/id/{}", entity(setup)), &json!({ "policies": [name] }));
}

#[test]
fn what_nobody_says_fails() {
    for shape in [jwt, flags] {
        let mut setup = Setup::new(shape());
        // Somebody has logged in: there is an identity.
        expect(&mut setup, 0, "passed", &["refused on"]);
        let (mount, policy) = (setup.mount.clone(), setup.policy.clone());
        for (rules, words) in [
            (
                "path \"sys/policies/acl/*\" { capabilities = [\"update\"] }".to_owned(),
                "write policies (sys/policies/acl/",
            ),
            (
                format!("path \"sys/policies/acl/{policy}\" {{ capabilities = [\"update\"] }}"),
                "write policies (sys/policies/acl/p-",
            ),
            (format!("path \"auth/{mount}/role/r-app\" {{ capabilities = [\"update\"] }}"), "write roles"),
            ("path \"+/group/id/+\" { capabilities = [\"update\"] }".to_owned(), "change identities"),
            ("path \"auth/token/create\" { capabilities = [\"update\"] }".to_owned(), "make tokens"),
            ("path \"sys/auth/*\" { capabilities = [\"create\", \"sudo\"] }".to_owned(), "set up auth methods"),
        ] {
            to_the_identity(&setup, &rules);
            expect(&mut setup, 1, "failed", &["which its policies don't say", words]);
        }
        // Neither is a finding: nothing can be written, and a mount can't be made without sudo.
        to_the_identity(
            &setup,
            "path \"sys/*\" { capabilities = [\"read\", \"list\"] }\npath \"sys/auth/*\" { capabilities = [\"create\"] }",
        );
        expect(&mut setup, 0, "passed", &[]);
    }
}

#[test]
fn what_the_policies_say_is_a_warning() {
    let mut setup = Setup::new(jwt());
    in_the_file(&setup, "{ path: '+/policies/acl/team-*', capabilities: [update] }");
    expect(&mut setup, 0, "warning", &["the file's policies let", "write policies (sys/policies/acl/team-"]);
    // One that the file has, and one that it has not.
    to_the_identity(&setup, "path \"identity/*\" { capabilities = [\"update\"] }");
    expect(&mut setup, 1, "failed", &["change identities"]);

    // In a child namespace, and with what another role logs in with.
    for (rule, words) in [
        ("team/sys/policies/acl/*", "write policies (team/sys/policies/acl/"),
        ("+/auth/+/role/app", "write roles and users of auth methods ("),
        ("auth/approle/role/+/secret-id", "get what other roles log in with (auth/approle/role/"),
        ("auth/team/userpass/users/*", "write roles and users of auth methods (auth/team/userpass/users/"),
    ] {
        let mut setup = Setup::new(jwt());
        in_the_file(&setup, &format!("{{ path: '{rule}', capabilities: [create, update] }}"));
        expect(&mut setup, 0, "warning", &["the file's policies let", words]);
    }
    // A secret is a secret, whatever it is called, and whatever its mount.
    let mut setup = Setup::new(jwt());
    in_the_file(
        &setup,
        "{ path: 'kv1/sys/policies/acl/*', capabilities: [create, update] }, \
         { path: 'secret/data/auth/jwt/config', capabilities: [update] }",
    );
    expect(&mut setup, 0, "passed", &["refused on"]);

    // With nobody to say what is meant, a rule for everything is told by both.
    let mut setup = Setup::new(flags());
    for (rules, bounds, more) in [
        (
            "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\", \"sudo\"] }",
            "set the login no bounds",
            "warning",
        ),
        ("path \"*\" { capabilities = [\"read\", \"list\"] }", "read, list on *", "passed"),
        (
            "path \"*\" { capabilities = [\"read\"] }\npath \"auth/token/create\" { capabilities = [\"deny\"] }",
            "set the login no bounds",
            "passed",
        ),
        ("path \"+/*\" { capabilities = [\"update\"] }", "update on +/*", "warning"),
    ] {
        setup.write_policy(&setup.policy, rules);
        let (code, check) = one(&mut setup, "VK507");
        assert_eq!((code, check["status"].as_str()), (0, Some("warning")), "{check:#}");
        assert!(check["detail"].as_str().unwrap().contains(bounds), "{check:#}");
        assert_eq!(looked_at(&mut setup).1["status"], more, "{rules}");
    }

    let mut setup = Setup::new(flags());
    setup.write_policy(&setup.policy, "path \"auth/token/*\" { capabilities = [\"update\"] }");
    expect(&mut setup, 0, "warning", &["the role's policies let", "make tokens that outlive it"]);
    // A denial that a wider rule outranks denies nothing, and one that decides does.
    setup.write_policy(
        &setup.policy,
        "path \"sys/*\" { capabilities = [\"update\"] }\npath \"sys/+/*\" { capabilities = [\"deny\"] }",
    );
    expect(&mut setup, 0, "warning", &["write policies (sys/policies/acl/"]);
    setup.write_policy(
        &setup.policy,
        "path \"sys/policies/*\" { capabilities = [\"update\"] }\npath \"sys/policies/acl/*\" { capabilities = [\"deny\"] }",
    );
    expect(&mut setup, 0, "passed", &[]);
}
