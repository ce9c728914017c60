use Capability::{Create, Deny, List, Read, Sudo, Update};

use super::*;

fn acl(text: &str) -> Acl {
    Acl::new([&Policy::parse(text).unwrap()])
}

/// One rule per line: a path, and the first letters of its capabilities.
fn rules(lines: &[(&str, &str)]) -> Acl {
    let rule = |(path, capabilities): &(&str, &str)| format!("path \"{path}\" {{ capabilities = [{capabilities}] }}\n");
    acl(&lines.iter().map(rule).collect::<String>())
}

fn known(capabilities: &[Capability]) -> Verdict {
    Verdict::Known(capabilities.iter().copied().collect())
}

#[test]
fn the_most_specific_rule_decides_alone() {
    let acl = rules(&[
        ("secret/*", "\"read\", \"list\""),
        ("secret/a/*", "\"update\""),
        ("secret/a/b", "\"create\""),
        ("secret/+/c", "\"sudo\""),
        ("secret/x/*", "\"deny\""),
        ("secret/none", ""),
    ]);
    let cases: [(&str, &[Capability]); 10] = [
        ("secret/z", &[Read, List]),
        ("/secret/z", &[Read, List]),
        ("secret/a/z", &[Update]),
        ("secret/a/b", &[Create]),
        ("secret/a/b/", &[Create]),
        ("secret/q/c", &[Sudo]),
        ("secret/a/c", &[Update]),
        ("secret/x/c", &[Deny]),
        ("secret/none", &[Deny]),
        ("other", &[Deny]),
    ];
    for (path, expected) in cases {
        assert_eq!(acl.capabilities(path), known(expected), "{path}");
    }
}

#[test]
fn policies_add_up_for_the_same_path_only() {
    let one = Policy::parse(r#"path "a/*" { capabilities = ["read"] }"#).unwrap();
    let other = Policy::parse(r#"path "a/*" { capabilities = ["list"] } path "a/b" { policy = "deny" }"#).unwrap();
    let acl = Acl::new([&one, &other]);
    assert_eq!(acl.capabilities("a/c"), known(&[Read, List]));
    assert_eq!(acl.capabilities("a/b"), known(&[Deny]));
}

#[test]
fn a_slash_at_the_end_is_tried_both_ways() {
    let acl = rules(&[("a/b*", "\"read\""), ("a/b/*", "\"list\""), ("c/+", "\"update\"")]);
    assert_eq!(acl.capabilities("a/b/"), known(&[List]));
    assert_eq!(acl.capabilities("c/d/"), known(&[Update]));
    let vault = acl.with_slash_order(SlashOrder::WithoutFirst);
    assert_eq!(vault.capabilities("a/b/"), known(&[Read]));
    assert_eq!(vault.capabilities("c/d/"), known(&[Update]));
}

#[test]
fn what_only_the_server_knows_is_unknown() {
    let acl = acl(r#"
        path "secret/{{identity.entity.id}}/*" { capabilities = ["read"] }
        path "until/a" { capabilities = ["read"] expiration = "2031-01-01T00:00:00Z" }
        path "secret/x/y" { capabilities = ["list"] }
        path "other/*" { capabilities = ["list"] }
    "#);
    assert_eq!(acl.capabilities("secret/a/b"), Verdict::Unknown);
    assert_eq!(acl.capabilities("secret/a"), known(&[Deny]));
    assert_eq!(acl.capabilities("secret/x/y"), known(&[List]), "an exact rule wins over any with a glob");
    assert_eq!(acl.capabilities("until/a"), Verdict::Unknown);
    assert_eq!(acl.capabilities("until/b"), known(&[Deny]));
    assert_eq!(acl.capabilities("other/a"), known(&[List]));
    assert_eq!(Verdict::Unknown.allows(Read), None);
}

#[test]
fn a_rule_that_denies_is_named_only_where_it_decides() {
    let acl = rules(&[
        ("secret/*", "\"deny\""),
        ("secret/a/*", "\"list\""),
        ("secret/a/b", "\"deny\""),
        ("kv/+/c*", "\"deny\""),
    ]);
    for (path, denying) in [
        ("secret/z", Some("secret/*")),
        ("secret/a/z", None),
        ("secret/a/b", Some("secret/a/b")),
        ("kv/q/cc", Some("kv/+/c*")),
        ("other", None),
    ] {
        assert_eq!(acl.denying(path).as_deref(), denying, "{path}");
    }
}
