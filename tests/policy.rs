//! Policies judged by the server: what we print, read and evaluate, against its own `sys/capabilities`.

use std::collections::BTreeSet;

use lab::Vault;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use vaultk8s::policy::{Acl, Capability, Policy, PolicyPath, Rule, SlashOrder, Verdict};

/// Rounds of generated policies, each with up to three policies and forty paths; `VAULTK8S_POLICY_ROUNDS` asks for more.
const ROUNDS: usize = 150;

fn rounds() -> usize {
    std::env::var("VAULTK8S_POLICY_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// The server, and how it differs from OpenBao where it does.
struct Judge {
    vault: Vault,
    prefix: String,
    order: SlashOrder,
    capabilities: Vec<Capability>,
}

impl Judge {
    fn new() -> Self {
        let vault = lab::shared().vault().clone();
        let mut judge =
            Self { vault, prefix: lab::unique("policy"), order: SlashOrder::default(), capabilities: Vec::new() };
        judge.capabilities = Capability::ALL
            .into_iter()
            .filter(|capability| {
                judge.put("probe", &format!("path \"a\" {{ capabilities = [\"{capability}\"] }}")).is_ok()
            })
            .collect();
        let probe = "path \"a*\" { capabilities = [\"read\"] } path \"a/*\" { capabilities = [\"list\"] }";
        judge.put("probe", probe).unwrap();
        let token = judge.token(&["probe"]);
        if judge.ask(&token, &["a/".into()]) == [BTreeSet::from([Capability::Read])] {
            judge.order = SlashOrder::WithoutFirst;
        }
        judge
    }

    /// Writes a policy; the error is the server's answer when it refuses the text.
    fn put(&self, name: &str, text: &str) -> Result<(), Value> {
        let path = format!("sys/policies/acl/{}-{name}", self.prefix);
        match self.vault.put(&path, &json!({ "policy": text })) {
            (200 | 204, _) => Ok(()),
            (_, answer) => Err(answer),
        }
    }

    fn get(&self, name: &str) -> String {
        let answer = self.vault.read(&format!("sys/policies/acl/{}-{name}", self.prefix));
        answer["data"]["policy"].as_str().unwrap().to_owned()
    }

    /// A token with these policies and no other. A batch token: nothing remains of it on the server.
    fn token(&self, policies: &[&str]) -> String {
        let policies: Vec<String> = policies.iter().map(|name| format!("{}-{name}", self.prefix)).collect();
        let body = json!({ "policies": policies, "no_default_policy": true, "type": "batch", "ttl": "10m" });
        let answer = self.vault.write("auth/token/create-orphan", &body);
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// What `sys/capabilities` says, in the order of the paths.
    fn ask(&self, token: &str, paths: &[String]) -> Vec<BTreeSet<Capability>> {
        let answer = self.vault.write("sys/capabilities", &json!({ "token": token, "paths": paths }));
        let known = |path: &String| {
            let names = answer["data"][path].as_array().unwrap_or_else(|| panic!("no answer for {path:?}: {answer}"));
            names.iter().map(|name| name.as_str().unwrap().parse().unwrap()).collect()
        };
        paths.iter().map(known).collect()
    }

    fn acl<'a>(&self, policies: impl IntoIterator<Item = &'a Policy>) -> Acl {
        Acl::new(policies).with_slash_order(self.order)
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        for name in ["probe", "0", "1", "2", "nasty", "text"] {
            self.vault.delete(&format!("sys/policies/acl/{}-{name}", self.prefix));
        }
    }
}

/// Values of a strategy, the same in every run.
fn sampled<S: Strategy>(strategy: S, count: usize) -> impl Iterator<Item = S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

/// Rules and requests of few names, so that they meet often.
fn rule(capabilities: Vec<Capability>) -> impl Strategy<Value = Rule> {
    let segments = select(vec!["a", "a", "b", "ab", "+", "+", "+b", "a+", "", "c"]);
    let ending = select(vec!["", "", "*", "/*", "/", "/+", "b*"]);
    let path = (prop::collection::vec(segments, 1..4), ending)
        .prop_filter_map("no path", |(segments, ending)| PolicyPath::new(&(segments.join("/") + ending)).ok());
    (path, prop::collection::btree_set(select(capabilities), 0..3))
        .prop_map(|(path, capabilities)| Rule::new(path, capabilities))
}

fn request() -> impl Strategy<Value = String> {
    let segments = select(vec!["a", "a", "b", "ab", "abb", "+", "+b", "", "c", "d"]);
    let ending = select(vec!["", "", "", "/", "//"]);
    (prop::collection::vec(segments, 1..5), ending)
        .prop_map(|(segments, ending)| segments.join("/") + ending)
        .prop_filter("the server wants a path", |path| !path.is_empty())
}

#[test]
fn capabilities_are_those_of_the_server() {
    let judge = Judge::new();
    let rules = prop::collection::vec(rule(judge.capabilities.clone()), 0..6);
    let case = (prop::collection::vec(rules, 1..=3), prop::collection::vec(request(), 40));
    let mut granted = 0;
    for (policies, mut paths) in sampled(case, rounds()) {
        let policies: Vec<Policy> = policies.into_iter().map(Policy::new).collect();
        let names = &["0", "1", "2"][..policies.len()];
        for (name, policy) in names.iter().zip(&policies) {
            let text = policy.print(&["Generated"]);
            assert_eq!(&Policy::parse(&text).unwrap(), policy);
            judge.put(name, &text).unwrap();
        }
        // And each rule where it surely applies.
        paths.extend(policies.iter().flat_map(Policy::rules).filter_map(|rule| rule.path.sample("d")));
        paths.sort();
        paths.dedup();
        let acl = judge.acl(&policies);
        let answers = judge.ask(&judge.token(names), &paths);
        for (path, answer) in paths.iter().zip(answers) {
            granted += usize::from(!answer.contains(&Capability::Deny));
            let texts: Vec<String> = policies.iter().map(|policy| policy.print(&[])).collect();
            assert_eq!(acl.capabilities(path), Verdict::Known(answer), "{path}\n{}", texts.join("---\n"));
        }
    }
    assert!(granted > rounds() * 5, "only {granted} requests were granted anything: the generator is off");
}

#[test]
fn no_path_breaks_out_of_its_string() {
    let judge = Judge::new();
    let pieces = vec![
        "\"",
        "\\",
        "${",
        "$",
        "{",
        "}",
        "%{",
        "\\n",
        "\\u0024{",
        "#",
        "//",
        "/*",
        "*/",
        "<<EOF",
        "'",
        "`",
        "\u{e123}",
        "\u{202e}",
        "\u{feff}",
        "\u{fffd}",
        "ü",
        "😀",
        " ",
        "=",
        "[",
        "]",
        "\\\"",
        "$${",
        "${\"",
        "a",
        "b/",
        "+",
        "*",
        "\" { capabilities = [\"sudo\"] } path \"broken-out",
    ];
    let generated = prop::collection::vec(select(pieces), 1..10)
        .prop_filter_map("no path", |pieces| PolicyPath::new(&pieces.concat()).ok());
    let mut count = 0;
    for path in sampled(generated, rounds()) {
        let policy = Policy::new([Rule::new(path.clone(), [Capability::Read])]);
        let text = policy.print(&["Managed by a test"]);
        judge.put("nasty", &text).unwrap_or_else(|answer| panic!("{path}: {answer}\n{text}"));
        assert_eq!(judge.get("nasty"), text);
        let Some(sample) = path.sample("T") else { continue };
        // The server trims white space around the paths of this question, as it trims it from none of a policy.
        if sample.trim() != sample {
            continue;
        }
        let paths = [sample.clone(), "broken-out".to_owned(), "zzz".to_owned()];
        let answers = judge.ask(&judge.token(&["nasty"]), &paths);
        assert_eq!(answers[0], BTreeSet::from([Capability::Read]), "{text}");
        let acl = judge.acl([&policy]);
        for (path, answer) in paths.iter().zip(answers) {
            assert!(!answer.contains(&Capability::Sudo), "{text}");
            assert_eq!(acl.capabilities(path), Verdict::Known(answer), "{path}\n{text}");
        }
        count += 1;
    }
    assert!(count > rounds() / 3, "only {count} paths were tried: the generator is off");
}

/// Texts as people and machines write them, all of which must be understood.
const SPELLINGS: [&str; 16] = [
    r#"path "a/b" { capabilities = ["read"] }"#,
    r#"path "/a/b" { policy = "write" }"#,
    r#"path "a/b" { policy = "read" capabilities = ["sudo",] }"#,
    r#"path "a/b" { capabilities = ["read", "deny", "bogus"] }"#,
    r#"path "a/b" { capabilities = ["read"] } path "a/b" { capabilities = ["list"] } path "/a/b" { policy = "sudo" }"#,
    "# c\n// c\n/* \" { */ path \"a/b\" {\r\n capabilities=[\r\n\"read\" , # c\n \"list\" /* c */ ] }",
    r#"path "a/b" { capabilities = ["read"], comment = "x", }"#,
    r#""path" "a/b" { "capabilities" = ["read"] }"#,
    r#"path a.b { capabilities = ["read"] } path "a\x2fb" { capabilities = ["list"] }"#,
    r#"path "a/${b"c}" { capabilities = ["read"] } path "a/b" { capabilities = ["list"] }"#,
    r#"path "a/%{b}" { capabilities = ["read"] } path "a/$b" { capabilities = ["list"] }"#,
    r#"path "a/b" {}"#,
    r#"name = "x" path "a/b" { capabilities = [,"read",,] min_wrapping_ttl = "1m" max_wrapping_ttl = 90 }"#,
    r#"{"path": {"a/b": {"capabilities": ["read"]}, "a/*": {"policy": "deny"}}}"#,
    r#" {"path": [{"a/b": {"capabilities": ["read"]}}, {"a/b": {"capabilities": ["list"]}}], "name": "x"}"#,
    r#"path "a/b" { allowed_parameters = { "A" = [], "*" = ["x", 1, true] } denied_parameters = {} capabilities = ["read"] }"#,
];

/// Texts with the rarer fields, whose values the server checks further than we do. OpenBao alone knows most of them.
const RESTRICTED: [&str; 5] = [
    r#"path "a/b" { capabilities = ["read"] control_group = { ttl = "4h" factor "o\"p${s}" { controlled_capabilities = ["read"] identity { group_names = ["m"] approvals = 2 } } factor "b" { controlled_capabilities = ["read"] identity { group_names = ["n"] approvals = 1 } } } }"#,
    r#"{"path": {"a/b": {"capabilities": ["read"], "control_group": {"ttl": "1h", "factor": {"ops": {"controlled_capabilities": ["read"], "identity": {"group_names": ["m"], "approvals": 2}}}}}}}"#,
    r#"path "a/b" { capabilities = ["list", "read"] list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}" }"#,
    r#"path "a/b" { capabilities = ["list", "read"] expiration = "2099-01-01T00:00:00Z" pagination_limit = 5 }"#,
    r#"path "a/{{identity.entity.id}}/b" { capabilities = ["read"] } path "a/b" { capabilities = ["list"] required_parameters = ["X"] min_wrapping_ttl = "1.5s" }"#,
];

/// Asks both what a text means. Answers with whether each understood it.
fn both_read(judge: &Judge, text: &str) -> (bool, bool) {
    let accepted = judge.put("text", text).is_ok();
    let policy = Policy::parse(text);
    if let (true, Ok(policy)) = (accepted, &policy) {
        let mut paths: Vec<String> =
            ["a/b", "a/c", "a.b", "a", "b", "a/${b\"c}", "a/%{b}", "a/$b", "path"].map(str::to_owned).to_vec();
        paths.extend(policy.rules().iter().filter_map(|rule| rule.path.sample("d")));
        paths.retain(|path| path.trim() == path);
        let acl = judge.acl([policy]);
        let answers = judge.ask(&judge.token(&["text"]), &paths);
        for (path, answer) in paths.iter().zip(answers) {
            // Else only the server knows.
            if let Verdict::Known(ours) = acl.capabilities(path) {
                assert_eq!(ours, answer, "{path}\n{text}");
            }
        }
        // What we would write in its place is accepted too. An empty text isn't, so there is nothing to write then.
        if !policy.rules().is_empty() {
            judge.put("text", &policy.print(&[])).unwrap_or_else(|answer| panic!("{answer}\n{text}"));
        }
    }
    (accepted, policy.is_ok())
}

#[test]
fn texts_are_read_as_the_server_reads_them() {
    let judge = Judge::new();
    for text in SPELLINGS {
        assert_eq!(both_read(&judge, text), (true, true), "{text}");
    }
    for text in RESTRICTED {
        let (accepted, understood) = both_read(&judge, text);
        assert!(understood, "{text}");
        // `scan` is what tells OpenBao apart.
        assert!(accepted || !judge.capabilities.contains(&Capability::Scan), "{text}");
    }
}

#[test]
fn damaged_texts_are_not_misread() {
    let judge = Judge::new();
    let damage = (select(SPELLINGS.to_vec()), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_usize);
    let pieces =
        ["\"", "{", "}", "[", "]", ",", "=", "\\", "${", "\n", "#", "/*", "*", "+", "<<E\nx\nE\n", "1", "true"];
    let mut understood = 0;
    for (text, place, piece, length) in sampled(damage, 2 * rounds()) {
        let mut characters: Vec<char> = text.chars().collect();
        let at = place.index(characters.len());
        let end = characters.len().min(at + length);
        characters.splice(at..end, piece.get(&pieces).chars());
        let text: String = characters.into_iter().collect();
        match both_read(&judge, &text) {
            (true, true) => understood += 1,
            // JSON has this escape, and the server's reader of JSON doesn't.
            (false, true) if text.contains("\\/") => {}
            (false, true) => panic!("the server refuses what we understand:\n{text}"),
            // Not understood is always a safe answer.
            (_, false) => {}
        }
    }
    assert!(understood > rounds() / 10, "only {understood} damaged texts were still policies");
}
