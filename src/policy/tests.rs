use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn rule(path: &str, capabilities: &[Capability]) -> Rule {
    Rule::new(PolicyPath::new(path).unwrap(), capabilities.iter().copied())
}

use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};

#[test]
fn prints_the_canonical_form() {
    let policy = Policy::new([
        rule("secret/metadata/k8s/taloslmn/*", &[List]),
        rule("secret/data/k8s/taloslmn/*", &[List, Read]),
    ]);
    let text = r#"# Managed by vaultk8s

path "secret/data/k8s/taloslmn/*" {
  capabilities = ["read", "list"]
}

path "secret/metadata/k8s/taloslmn/*" {
  capabilities = ["list"]
}
"#;
    assert_eq!(policy.print(&["Managed by vaultk8s"]), text);
    assert_eq!(parse(text), policy);
    assert_eq!(Policy::default().print(&[]), "");
}

#[test]
fn a_header_stays_a_comment() {
    let policy = Policy::new([rule("a", &[Read])]);
    let text = policy.print(&["one\npath \"b\" {}", "two\r\0\u{2028}three", "", "*/ x"]);
    assert_eq!(parse(&text), policy, "{text}");
}

#[test]
fn reads_policies_as_people_write_them() {
    let expected = Policy::new([rule("secret/data/x", &[Read]), rule("sys/*", &[Deny])]);
    let spellings = [
        r#"path "secret/data/x" { capabilities = ["read"] } path "sys/*" { capabilities = ["deny"] }"#,
        "path \"/secret/data/x\" {capabilities=[\"read\",]}\r\n// c\r\npath \"sys/*\"{policy=\"deny\"}\r\n",
        r#"
        # a comment
        name = "whatever"
        "path" "sys/*" { "capabilities" = ["read", "deny", "list"], comment = "x" }
        path "secret/data/x" {
          /* several
             lines */
          capabilities = [ "read" , ] # trailing
          allowed_parameters = {}
          min_wrapping_ttl = 0
          required_parameters = []
          pagination_limit = 0
        }
        path "secret/data/x" {}"#,
        r#"{"path": {"secret/data/x": {"capabilities": ["read"]}, "sys/*": {"policy": "deny"}}}"#,
        r#"{"path": [{"secret/data/x": {"capabilities": ["read"]}}, {"sys/*": {"capabilities": ["deny"]}}]}"#,
    ];
    for text in spellings {
        assert!(same_meaning(&parse(text), &expected), "{text}");
    }
    assert!(!same_meaning(&expected, &Policy::default()));
}

#[test]
fn the_old_style_maps_to_capabilities() {
    let cases = [
        ("read", &[Read, List][..]),
        ("write", &[Create, Read, Update, Delete, List]),
        ("sudo", &[Create, Read, Update, Delete, List, Sudo]),
        ("deny", &[Deny]),
        ("", &[]),
    ];
    for (old, capabilities) in cases {
        let text = format!("path \"a\" {{ policy = \"{old}\" }}");
        assert_eq!(parse(&text), Policy::new([rule("a", capabilities)]), "{old}");
    }
    let both = parse(r#"path "a" { policy = "read" capabilities = ["sudo"] }"#);
    assert_eq!(both, Policy::new([rule("a", &[Read, List, Sudo])]));
}

#[test]
fn other_fields_are_compared_by_meaning() {
    let one = r#"path "a" {
      capabilities = ["update"]
      min_wrapping_ttl = "1h"
      required_parameters = ["B", "a", "b"]
      allowed_parameters = { "Ttl" = ["2", "1"], "*" = [] }
    }"#;
    let other = r#"{"path": {"a": {"allowed_parameters": {"*": [], "ttl": ["1", "2"]},
      "required_parameters": ["a", "b"], "min_wrapping_ttl": 3600, "capabilities": ["update"]}}}"#;
    assert_eq!(parse(one), parse(other));
    assert_eq!(parse(one).rules()[0].other["allowed_parameters"], json!({"*": [], "ttl": ["1", "2"]}));
    for changed in ["\"1h\"/\"2h\"", "[\"B\", \"a\", \"b\"]/[\"a\"]", "[\"2\", \"1\"]/[]", "update/create"] {
        let (from, to) = changed.split_once('/').unwrap();
        assert_ne!(parse(&one.replace(from, to)), parse(one), "{changed}");
    }
}

#[test]
fn a_control_group_survives_printing() {
    let text = r#"path "a" {
      capabilities = ["read"]
      control_group = {
        ttl = "4h"
        factor "ops" {
          controlled_capabilities = ["read"]
          identity { group_names = ["managers"] approvals = 2 }
        }
        factor "sec${x}" { identity { group_names = ["sec"] approvals = 1 } }
      }
    }"#;
    let policy = parse(text);
    assert_eq!(policy.rules()[0].other["control_group"]["factor"]["ops"]["identity"]["approvals"], json!(2));
    assert_eq!(parse(&policy.print(&[])), policy);
}

#[test]
fn what_is_not_understood_is_an_error() {
    let texts = [
        "path",
        "path \"a\"",
        "path \"a\" {",
        "path \"a\" {}}",
        "path \"a\" \"b\" {}",
        "path { }",
        "path \"a\" { capabilities = \"read\" }",
        "path \"a\" { capabilities = [\"write\"] }",
        "path \"a\" { capabilities = [\"read\" \"list\"] }",
        "path \"a\" { policy = \"admin\" }",
        "path \"a\" { fields = [] }",
        "path \"a\" { min_wrapping_ttl = \"soon\" }",
        "path \"a\" { capabilities = [read] }",
        "path \"a/+*\" {}",
        "path \"\" {}",
        "path \"a\\nb\" {}",
        "policy \"a\" {}",
        "path \"a\" { capabilities = [\"read\"] /* }",
        "rule { }",
        "{\"path\": {\"a\": {\"capabilities\": [null]}}}",
        "{\"path\": 5}",
        "{\"paths\": {}}",
        "{",
        "main = rule { true }",
    ];
    for text in texts {
        assert!(Policy::parse(text).is_err(), "{text}");
    }
    let nested = format!("path \"a\" {{ control_group = {}", "{ a = ".repeat(10_000));
    assert!(Policy::parse(&nested).is_err());
    let nested = format!("path \"a\" {{ subscribe_event_types = {}", "[".repeat(10_000));
    assert!(Policy::parse(&nested).is_err());
}

#[test]
fn a_policy_of_more_rules_than_anybody_writes_is_not_judged() {
    let rule = |at: usize| format!("path \"a/{at}/+/*\" {{ capabilities = [\"read\"] }}\n");
    let of = |rules: usize| (0..rules).map(rule).collect::<Vec<_>>().concat();
    assert_eq!(Policy::parse(&of(10_001)), Err(PolicyParseError::TooManyRules(10_001)));
    assert_eq!(Policy::parse(&of(10_000)).unwrap().rules().len(), 10_000);
}

#[test]
fn errors_are_sentences_with_a_line() {
    let error = Policy::parse("path \"a\" {\n  capabilities = [read]\n}").unwrap_err();
    assert_eq!(error.to_string(), "line 2 of the policy isn't understood: a value was expected");
}

/// Characters that mean something to HCL, to the server's globs and templates, or to a terminal.
pub(super) fn nasty_path() -> impl Strategy<Value = PolicyPath> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\"", "\\", "${", "$", "{", "}", "%{", "\\n", "\\u0024", "#", "//", "/*", "*/", "<<EOF", "'", "`", "\u{e123}",
            "\u{202e}", "\u{2028}", "\u{feff}", "\u{fffd}", "ü", "😀", " ", "=", "[", "]", ",", "\\\"", "$${", "%%{", ";",
        ]),
        3 => prop::sample::select(vec!["a", "b", "/", "+", "*", "data"]),
    ];
    let text = prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat());
    prop_oneof![3 => text, 1 => "\\PC{1,20}"].prop_filter_map("no path", |text| PolicyPath::new(&text).ok())
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let capabilities = prop::collection::btree_set(prop::sample::select(Capability::ALL.to_vec()), 0..4);
    let other = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({"min_wrapping_ttl": 60, "pagination_limit": 3})),
        1 => "\\PC{0,9}".prop_map(|text| json!({"allowed_parameters": {text.to_lowercase(): [text, 1, true]}})),
        1 => Just(json!({"expiration": "2031-01-01T00:00:00Z"})),
    ];
    (nasty_path(), capabilities, other).prop_map(|(path, capabilities, other)| Rule {
        path,
        capabilities,
        other: match serde_json::from_value(other) {
            Ok(other) => other,
            Err(error) => panic!("{error}"),
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_printed_means_the_same(rules in prop::collection::vec(any_rule(), 0..4), header in "\\PC{0,20}") {
        // Values of parameters are a set, in a fixed order.
        let policy = Policy::parse(&Policy::new(rules.clone()).print(&[])).unwrap();
        prop_assert_eq!(&Policy::parse(&policy.print(&[&header])).unwrap(), &policy);
        let paths = |policy: &Policy| policy.rules().iter().map(|rule| rule.path.clone()).collect::<Vec<_>>();
        prop_assert_eq!(paths(&policy), paths(&Policy::new(rules)));
    }

    #[test]
    fn order_and_repetition_mean_nothing(rules in prop::collection::vec(any_rule(), 0..5)) {
        prop_assume!(!rules.iter().any(Rule::expires));
        let mut other = rules.clone();
        other.reverse();
        other.extend(rules.clone());
        let read = |rules| Policy::parse(&Policy::new(rules).print(&[])).unwrap();
        prop_assert!(same_meaning(&read(rules), &read(other)));
    }

    #[test]
    fn a_sample_is_matched_by_its_rule(path in nasty_path()) {
        let policy = Policy::new([Rule::new(path.clone(), [Capability::Read])]);
        if let Some(sample) = path.sample("T") {
            let verdict = Acl::new([&policy]).capabilities(&sample);
            prop_assert_eq!(verdict.allows(Capability::Read), Some(true), "{}", sample);
        } else {
            prop_assert!(path.is_template());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(path|\"|\\{|\\}|\\[|\\]|=|,|<<-?E\n|E\n|\\$\\{|\\\\|/\\*|[a-z0-9.-]|\n| ){0,40}", other in ".{0,60}") {
        let _ = Policy::parse(&text);
        let _ = Policy::parse(&other);
        let _ = Policy::parse(&format!("{{{other}"));
        let _ = Policy::parse(&format!("path \"{text}\" {{ min_wrapping_ttl = {other} }}"));
    }
}
