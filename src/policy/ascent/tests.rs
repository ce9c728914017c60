//! What lets a login give itself more, and what doesn't.

use super::*;
use Capability::Update;

fn found(policy: &str) -> Vec<String> {
    let policy = Policy::parse(policy).unwrap();
    let kv = ["secret", "team/kv"].map(|mount| mount.parse().unwrap());
    ascents(&[&policy], &kv).iter().map(|one| format!("{} by {}", one.does, one.rule)).collect()
}

fn rule(path: &str, capabilities: &str) -> String {
    let words: Vec<String> = capabilities.split(' ').map(|word| format!("{word:?}")).collect();
    format!("path {path:?} {{ capabilities = [{}] }}\n", words.join(", "))
}

#[test]
fn rules_are_found_by_what_they_allow() {
    for (path, capabilities, does) in [
        ("sys/policies/acl/*", "update", Deed::Policies),
        ("sys/policies/acl/own", "create", Deed::Policies),
        ("+/policies/acl/own", "update", Deed::Policies),
        ("sys/+/acl/+", "update", Deed::Policies),
        ("sys/policy/own", "update", Deed::Policies),
        ("sys/*", "update", Deed::Policies),
        ("*", "update", Deed::Policies),
        ("+/+/+/own", "patch", Deed::Policies),
        ("auth/jwt-prod/role/*", "update", Deed::Roles),
        ("auth/team/jwt/role/app", "update", Deed::Roles),
        ("auth/+/+/app", "update", Deed::Roles),
        ("auth/userpass/users/app/policies", "update", Deed::Roles),
        ("auth/userpass/users/+/password", "update", Deed::Roles),
        ("auth/userpass/users/bob", "update", Deed::Roles),
        ("auth/approle/role/app/secret-id", "update", Deed::Credentials),
        ("auth/approle/role/+/secret-id", "create", Deed::Credentials),
        ("auth/team/approle/role/app/custom-secret-id", "update", Deed::Credentials),
        ("auth/+/role/app/role-id", "update", Deed::Credentials),
        ("auth/approle/role/app/bind-secret-id", "update", Deed::Roles),
        ("auth/gcp/role/app/service-accounts", "update", Deed::Roles),
        ("auth/jwt/cel/role/app", "update", Deed::Roles),
        ("auth/cf/roles/app", "create", Deed::Roles),
        ("auth/userpass/users/*", "create", Deed::Roles),
        ("auth/team/userpass/users/*", "update", Deed::Roles),
        ("auth/a/b/c/role/app", "update", Deed::Roles),
        ("auth/ldap/groups/admins", "update", Deed::Roles),
        ("auth/github/map/teams/x", "update", Deed::Roles),
        ("auth/cert/certs/x", "update", Deed::Roles),
        ("auth/token/roles/ci", "update", Deed::Roles),
        ("auth/token/create/*", "update", Deed::Tokens),
        ("auth/token/create-orphan", "update", Deed::Tokens),
        ("auth/aws/config/client", "update", Deed::Trust),
        ("sys/rekey-recovery-key/init", "update", Deed::Root),
        ("sys/generate-recovery-token/attempt", "update", Deed::Root),
        ("identity/mfa/method/totp/admin-generate", "update", Deed::Identities),
        ("identity/alias/id/x", "update", Deed::Identities),
        // Child namespaces.
        ("team/sys/policies/acl/*", "update", Deed::Policies),
        ("team/sys/*", "update", Deed::Policies),
        ("+/sys/policies/acl/own", "update", Deed::Policies),
        ("+/+/policies/acl/own", "update", Deed::Policies),
        ("team/a/sys/policies/acl/own", "update", Deed::Policies),
        ("team/auth/jwt/role/*", "update", Deed::Roles),
        ("team/auth/approle/role/app/secret-id", "update", Deed::Credentials),
        ("+/auth/*", "update", Deed::Roles),
        ("team/auth/jwt/config", "update", Deed::Trust),
        ("team/auth/token/create", "update", Deed::Tokens),
        ("team/identity/group/id/+", "update", Deed::Identities),
        ("team/sys/namespaces/x", "update", Deed::Namespaces),
        ("team/sys/auth/evil", "create sudo", Deed::Methods),
        ("auth/jwt-prod/config", "update", Deed::Trust),
        ("auth/+/+", "update", Deed::Trust),
        ("auth/token/create", "update", Deed::Tokens),
        ("auth/token/create/ci", "update", Deed::Tokens),
        ("auth/token/*", "create", Deed::Tokens),
        ("+/+/create-orphan", "update", Deed::Tokens),
        ("identity/*", "update", Deed::Identities),
        ("identity/group/id/{{identity.groups.names.x.id}}", "update", Deed::Identities),
        ("+/+", "update", Deed::Identities),
        ("sys/mounts/auth/jwt-prod/tune", "update", Deed::Mounts),
        ("sys/mounts/secret", "delete", Deed::Unmounts),
        ("+/mounts/*", "delete", Deed::Unmounts),
        ("team/sys/mounts/secret", "delete", Deed::Unmounts),
        ("sys/auth/jwt-prod", "delete sudo", Deed::Unmounts),
        ("identity/entity/name/{{identity.entity.name}}", "update", Deed::Identities),
        ("sys/auth/evil", "create sudo", Deed::Methods),
        ("sys/raw/core/*", "read sudo", Deed::Storage),
        ("secret/data/x", "read sudo", Deed::Sudo),
    ] {
        let found = found(&rule(path, capabilities));
        assert!(found.contains(&format!("{does} by {path}")), "{path} {capabilities}: {found:?}");
    }
}

#[test]
fn what_gives_nothing_more_is_not_found() {
    for rules in [
        rule("secret/data/*", "create read update delete"),
        rule("sys/policies/acl/*", "read list delete"),
        rule("*", "read list"),
        // Protected paths want sudo, and a storage endpoint too.
        rule("sys/auth/evil", "create update"),
        rule("sys/auth/jwt-prod", "delete"),
        rule("sys/mounts/*", "read list"),
        rule("sys/raw/*", "read update"),
        // What every login may do with its own token.
        rule("auth/token/lookup-self", "read") + &rule("auth/token/renew-self", "update"),
        rule("auth/token/revoke-self", "update"),
        // A secret is a secret, whatever it is called.
        rule("secret/sys/policies/acl/x", "update"),
        rule("secret/sys/policies/acl/*", "update"),
        rule("secret/*", "create update"),
        rule("secret/a/auth/jwt/config", "update"),
        rule("team/kv/auth/jwt/role/*", "update"),
        rule("other/data/auth/jwt/config", "update"),
        rule("kv1/+/config", "update"),
        rule("transit/*", "update"),
        rule("cubbyhole/sys/policies/acl/x", "update"),
        rule("{{identity.entity.name}}/sys/policies/acl/x", "update"),
        // What is looked up, and what a login is there for.
        rule("auth/approle/role/app/secret-id/lookup", "update"),
        rule("auth/approle/role/app/role-id", "read"),
        rule("auth/approle/role/+/secret-id", "list"),
        rule("auth/userpass/login/bob", "update"),
        rule("auth/team/jwt/login", "update"),
        rule("identity/lookup/entity", "update"),
        rule("identity/oidc/token/app", "read"),
        rule("team/auth/jwt/login", "update"),
        rule("team/sys/policies/acl/*", "read list"),
        rule("pki/issue/app", "update") + &rule("ssh/sign/app", "update") + &rule("database/creds/app", "read"),
        rule("auth/jwt-prod/role/*", "read list"),
        rule("auth/jwt-prod/login", "update"),
        rule("identity/entity/id/*", "read"),
        rule("sys/policies/password/strong", "update"),
        rule("transit/sign/app", "update"),
        rule("kubernetes/roles/app", "update"),
        // A denial that outranks it.
        rule("sys/*", "update")
            + &rule("sys/policies/*", "deny")
            + &rule("sys/policy/*", "deny")
            + &rule("sys/mounts/*", "deny")
            + &rule("sys/namespaces/*", "deny")
            + &rule("sys/generate-root/*", "deny")
            + &rule("sys/generate-recovery-token/*", "deny")
            + &rule("sys/rekey/*", "deny")
            + &rule("sys/rekey-recovery-key/*", "deny")
            + &rule("sys/storage/*", "deny"),
    ] {
        assert_eq!(found(&rules), Vec::<String>::new(), "{rules}");
    }
    // Denials that do not, also where they are about what stands for any name.
    for denied in ["v*", "vault*", "vaultk8s-anything", "a*"] {
        let rules = rule("sys/policies/acl/*", "update") + &rule(&format!("sys/policies/acl/{denied}"), "deny");
        assert_eq!(found(&rules), ["write policies by sys/policies/acl/*"], "{denied}");
    }
    assert!(!found(&(rule("sys/policies/acl/*", "update") + &rule("sys/*", "deny"))).is_empty());
}

#[test]
fn a_server_is_asked_where_the_rules_are_too() {
    let policy = Policy::parse(&rule("sys/policies/acl/own", "update")).unwrap();
    let ladder = Ladder::of(&[&policy], &["auth/jwt/role/app".to_owned(), "secret/x".to_owned()], "T", &[], false);
    let paths: Vec<&str> = ladder.paths().collect();
    assert!(paths.contains(&"sys/policies/acl/own") && paths.contains(&"sys/policies/acl/T"), "{paths:?}");
    assert!(paths.contains(&"auth/jwt/role/app") && !paths.contains(&"secret/x"), "{paths:?}");
    assert!(paths.iter().all(|path| !path.contains(['+', '*'])) && paths.len() < 25, "{paths:?}");
    let climbed = ladder.climbed(|path, capability| path == "sys/policies/acl/own" && capability == Update);
    assert_eq!(climbed, [(Deed::Policies, vec!["sys/policies/acl/own"])].into());
    assert!(Ladder::said(&[&policy], "sys/policies/acl/own", Deed::Policies));
    assert!(!Ladder::said(&[&policy], "sys/policies/acl/T", Deed::Policies));
    // In a child namespace too, and there only where a rule is about it.
    let policy = Policy::parse(&rule("team/sys/policies/acl/*", "update")).unwrap();
    let child = Ladder::of(&[&policy], &[], "T", &[], false);
    let of_child: Vec<&str> = child.paths().filter(|path| path.starts_with("team/")).collect();
    assert_eq!(of_child, ["team/sys/policies/acl/T"]);
    assert!(Ladder::said(&[&policy], of_child[0], Deed::Policies));
    let none = ladder.climbed(|_, _| false);
    assert!(none.is_empty());
}

#[test]
fn who_deletes_policies_gets_rid_of_what_they_deny() {
    let wide = rule("secret/data/*", "read") + &rule("sys/policies/acl/*", "read list delete");
    for narrower in
        [rule("secret/data/private", "deny"), "path \"secret/data/private\" { capabilities = [] }\n".to_owned()]
    {
        let told = found(&(wide.clone() + &narrower));
        assert_eq!(told, ["delete policies that deny it something by sys/policies/acl/*"], "{narrower}");
    }
    // Without a denial there is nothing to be had by it.
    assert_eq!(found(&wide), Vec::<String>::new());
    let policy = Policy::parse(&wide).unwrap();
    for denied in [true, false] {
        let ladder = Ladder::of(&[&policy], &[], "T", &[], denied);
        let climbed =
            ladder.climbed(|path, capability| path.starts_with("sys/policies/") && capability == Capability::Delete);
        assert_eq!(climbed.keys().copied().collect::<Vec<_>>(), if denied { vec![Deed::Denials] } else { vec![] });
    }
    // A name that only the server knows may be that of the policy that denies.
    let named = rule("sys/policies/acl/team-{{identity.entity.name}}", "delete") + &rule("secret/data/private", "deny");
    assert_eq!(found(&named).len(), 1);
}
