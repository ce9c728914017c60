//! The configuration file: what it means, and what it says about a bad one.
//!
//! `testdata/configs/invalid/NAME.yaml` has its messages beside it in `NAME.txt`;
//! `SNAPSHOTS=overwrite cargo test --test integration config::` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use snapbox::{Data, assert_data_eq};
use vaultk8s::config::{
    Allowance, ClusterAccount, ClusterSource, Config, ConfigError, Diagnostic, Expectation, Expected, Grant, KeySource,
    Method, ReviewerToken, Role, TokenType, Verb,
};
use vaultk8s::error::{Error, ErrorKind};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/configs")
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(testdata().join(name)).unwrap()
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("vaultk8s.yaml"))
}

fn valid(name: &str) -> Config {
    parse(&text_of(name)).unwrap_or_else(|error| panic!("{name}:\n{error}"))
}

/// The files of a folder that end in `.yaml`, in order.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn told(problems: &[Diagnostic]) -> String {
    let mut text = String::new();
    for problem in problems {
        writeln!(text, "{}", problem.in_file(&Path::new("vaultk8s.yaml").into())).unwrap();
        writeln!(text, "    {}", problem.remedy).unwrap();
    }
    text
}

/// What the tool would do with the file, as text: everything but where it is written.
fn meaning(config: &Config) -> String {
    let mut text = String::new();
    if let Some(owner) = &config.owner {
        writeln!(text, "owner {owner}").unwrap();
    }
    for policy in &config.policies {
        writeln!(text, "policy {}", policy.name).unwrap();
        for grant in &policy.grants {
            match grant {
                Grant::Kv { mount, verb, path } => writeln!(text, "  {verb:?} {mount}: {path}").unwrap(),
                Grant::Rule { path, capabilities, .. } => {
                    let words: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
                    writeln!(text, "  {path} [{}]", words.join(", ")).unwrap();
                }
            }
        }
    }
    for cluster in &config.clusters {
        writeln!(text, "cluster {} {:?} kv {}", cluster.name, cluster.source, cluster.kv).unwrap();
        let auth = &cluster.auth;
        writeln!(text, "  mount {} {:?}", auth.mount, auth.description.as_deref().unwrap_or_default()).unwrap();
        writeln!(text, "    exclusive {} issuer {:?} keys CA {:?}", auth.exclusive, auth.issuer, auth.keys_ca_cert)
            .unwrap();
        if !auth.managed {
            writeln!(text, "    kept by another file, reviewer known {}", auth.known_reviewer().is_some()).unwrap();
        }
        if let Some(extensions) = &auth.cert_extensions {
            writeln!(text, "    certificate extensions {extensions:?}").unwrap();
        }
        match &auth.method {
            Method::Jwt(keys) => writeln!(text, "    jwt {keys:?}").unwrap(),
            Method::Kubernetes(kubernetes) => {
                let host = kubernetes.host.as_ref().map(ToString::to_string);
                let reviewer = &kubernetes.reviewer;
                writeln!(text, "    kubernetes {host:?} CA {:?}", kubernetes.ca_cert).unwrap();
                writeln!(
                    text,
                    "    reviewer {} {:?} secret {} binding {} lifetime {:?}",
                    reviewer.service_account,
                    reviewer.token,
                    reviewer.secret_name,
                    reviewer.binding_name,
                    reviewer.lifetime
                )
                .unwrap();
            }
        }
        for role in &cluster.roles {
            writeln!(text, "  role {}", role.name).unwrap();
            write!(text, "{}", role_lines(role)).unwrap();
        }
    }
    for Expectation { expected, act, .. } in &config.expectations {
        let named =
            |accounts: &[ClusterAccount]| accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let who = match expected {
            Expected::Can(accounts) => format!("can: {}", named(accounts)),
            Expected::Cannot(accounts) => format!("cannot: {}", named(accounts)),
            Expected::NobodyBut(accounts) => format!("nobody but: {}", named(accounts)),
        };
        writeln!(text, "expect {act} {who}").unwrap();
    }
    for Allowance { cluster, path, capabilities, why, .. } in &config.allow {
        let of = cluster.as_ref().map_or("all", |cluster| cluster.as_str());
        let words: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        writeln!(text, "allow {of}: {path} [{}] because {why}", words.join(", ")).unwrap();
    }
    text
}

fn role_lines(role: &Role) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let mut text = String::new();
    writeln!(text, "    for {}", list(role.service_accounts.iter().map(ToString::to_string).collect())).unwrap();
    if !role.account_patterns.is_empty() {
        writeln!(text, "    matching {}", list(role.account_patterns.iter().map(ToString::to_string).collect()))
            .unwrap();
    }
    if let Some(labelled) = &role.labelled {
        writeln!(text, "    labelled {labelled}").unwrap();
    }
    writeln!(text, "    policies {}", list(role.policies.iter().map(ToString::to_string).collect())).unwrap();
    let audiences = list(role.token_audiences.iter().map(ToString::to_string).collect());
    let audience = list(role.audiences.iter().map(ToString::to_string).collect());
    let audience = if audience.is_empty() { "any".to_owned() } else { audience };
    writeln!(text, "    audience {audience} requested [{audiences}]").unwrap();
    writeln!(text, "    user {} claims {:?} globs {}", role.user_claim, role.bound_claims, role.allow_globs).unwrap();
    if !role.claim_mappings.is_empty() || role.groups_claim.is_some() {
        writeln!(text, "    mappings {:?} groups {:?}", role.claim_mappings, role.groups_claim).unwrap();
    }
    writeln!(text, "    alias {:?} {:?}", role.alias_name_source, role.leeways).unwrap();
    writeln!(text, "    {:?}", role.token).unwrap();
    text
}

#[test]
fn valid_files_mean_what_they_say() {
    for file in yaml_files(&testdata()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let config = valid(&name);
        let found = format!("{}warnings:\n{}", meaning(&config), told(&config.warnings));
        assert_data_eq!(found, Data::read_from(&file.with_extension("txt"), None).raw());
    }
}

#[test]
fn bad_files_are_told_what_is_wrong_and_what_to_do() {
    let files = yaml_files(&testdata().join("invalid"));
    assert!(files.len() > 50, "the folder of bad files is gone");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let error = parse(&text).map(|_| ()).expect_err(&file.display().to_string());
        for problem in &error.problems {
            assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{}", file.display());
            assert!(problem.position.line >= 1 && problem.position.column >= 1, "{}", file.display());
            for jargon in ["invalid type", "struct", "visitor", "deserialize", "enum", "from_str"] {
                assert!(!problem.message.contains(jargon), "{}: {}", file.display(), problem.message);
            }
        }
        assert_data_eq!(told(&error.problems), Data::read_from(&file.with_extension("txt"), None).raw());
    }
}

#[test]
fn the_talos_homelab() {
    let config = valid("talos.yaml");
    assert!(config.vault.address.is_none() && config.warnings.is_empty());
    let [cluster] = config.clusters.as_slice() else { panic!("one cluster") };
    assert_eq!(cluster.source, ClusterSource::Context(Some("admin@taloslmn".to_owned())));
    assert_eq!(cluster.auth.mount.as_str(), "jwt-taloslmn");
    assert!(matches!(cluster.auth.method, Method::Jwt(KeySource::Pinned { .. })));
    let roles: Vec<&str> = cluster.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(roles, ["r-eso_minio-jwt-taloslmn-read", "r-eso_velero-jwt-taloslmn-read", "r-eso-jwt-taloslmn-read"]);
    for role in &cluster.roles {
        assert_eq!(role.service_accounts[0].subject(), "system:serviceaccount:external-secrets:external-secrets");
        assert_eq!((role.audiences[0].as_str(), role.token_audiences.len(), role.token.ttl), ("vault", 1, 7200));
        assert_eq!((role.user_claim.as_str(), role.token.token_type), ("sub", TokenType::Default));
    }
    let [policy] = config.policies.as_slice() else { panic!("one policy") };
    assert_eq!(policy.name.as_str(), "p-k8s_taloslmn_eso-read");
    let grant = |verb| Grant::Kv { mount: "secret".parse().unwrap(), verb, path: "k8s/taloslmn/*".parse().unwrap() };
    assert_eq!(policy.grants, [grant(Verb::Read), grant(Verb::List)]);
}

#[test]
fn the_rke_home_cluster() {
    let config = valid("rke.yaml");
    assert!(config.warnings.is_empty(), "{}", told(&config.warnings));
    let Method::Kubernetes(kubernetes) = &config.clusters[0].auth.method else { panic!("kubernetes") };
    assert_eq!(kubernetes.reviewer.token, ReviewerToken::Secret);
    assert_eq!(kubernetes.reviewer.secret_name, "vault-auth-token");
    // External Secrets asks for no audience with this method: the API server's own is what its tokens have.
    assert!(config.clusters[0].roles.iter().all(|role| role.token_audiences.is_empty()));
}

#[test]
fn omitted_reviewer_fields_are_those_of_the_example() {
    let text = text_of("rke.yaml");
    let (before, after) = text.split_once("      reviewer:").unwrap();
    let after = after.split_once("\npolicies:").unwrap().1;
    let short = parse(&format!("{before}\npolicies:{after}")).unwrap();
    assert_eq!(meaning(&short), meaning(&valid("rke.yaml")));
}

#[test]
fn paths_of_files_are_relative_to_the_configuration() {
    let config = Config::parse(&text_of("both.yaml"), Path::new("some/dir/vaultk8s.yaml")).unwrap();
    assert_eq!(config.vault.ca_cert, Some(PathBuf::from("some/dir/certs/vault-ca.pem")));
}

#[test]
fn lists_may_be_single_texts() {
    let text = text_of("talos.yaml");
    let listed = text
        .replace("read: k8s/{cluster}/*", "read: [k8s/{cluster}/*]")
        .replace("policies: p-k8s", "policies:\n      - p-k8s")
        .replace("2h", "'7200'");
    assert_ne!(text, listed);
    assert_eq!(meaning(&parse(&listed).unwrap()), meaning(&valid("talos.yaml")));
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = text_of("talos.yaml").replace(
        "  - name: r-eso_{each}-jwt-{cluster}-read\n",
        "  - &role\n    name: r-eso_{each}-jwt-{cluster}-read\n",
    );
    let (before, _) = text.split_once("  - name: r-eso-jwt").unwrap();
    let merged = format!("{before}  - <<: *role\n    name: other-{{each}}\n");
    let config = parse(&merged).unwrap();
    assert_eq!(config.clusters[0].roles.len(), 4);
    assert_eq!(config.clusters[0].roles[2].token.ttl, 7200);
}

#[test]
fn a_document_may_be_ended() {
    for end in ["---", "---\n", "...\n", "---\n\n"] {
        parse(&format!("{}\n{end}", text_of("talos.yaml").trim_end())).unwrap();
    }
    let two = format!("{}\n---\nclusters: []\n", text_of("talos.yaml").trim_end());
    assert!(parse(&two).unwrap_err().to_string().contains("second YAML document"));
}

#[test]
fn one_policy_for_all_clusters_is_one_policy() {
    let config = valid("design.yaml");
    assert_eq!(config.policies.iter().filter(|policy| policy.name.as_str() == "token-self").count(), 1);
}

#[test]
fn errors_end_as_wrong_usage_with_every_remedy() {
    let error: Error = parse("clusters: []\nrolez: []\n").unwrap_err().into();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(error.to_string().lines().count(), 2);
    assert!(error.to_string().starts_with("vaultk8s.yaml:1:1: "), "{error}");
    assert_eq!(error.remedies().len(), 2);
    assert!(error.remedies()[1].starts_with("2:1: did you mean `roles`?"), "{:?}", error.remedies());
}

#[test]
fn windows_line_endings_and_a_byte_order_mark_change_nothing() {
    let text = format!("\u{feff}{}", text_of("talos.yaml").replace('\n', "\r\n"));
    assert_eq!(meaning(&parse(&text).unwrap()), meaning(&valid("talos.yaml")));
}

mod mutations {
    use proptest::prelude::*;

    use super::*;

    const SPLICES: &[&str] = &[
        "",
        "{",
        "}",
        "{{",
        "}}",
        "{each}",
        "{cluster}",
        "*",
        "&a ",
        "*a",
        "[",
        "]",
        ": ",
        "- ",
        "\t",
        "\n",
        "\n  ",
        "'",
        "\"",
        "#",
        "|",
        "\u{e9}",
        "..",
        "/",
        "data/",
        "secret/",
        "null",
        "~",
        "true",
        "-1",
        "99999999999999999999",
        "1.5",
        "2h",
        "---\n",
        "<<: ",
        "!x ",
        "\u{0}",
        "\u{85}",
        "each: [a, a]\n",
    ];

    fn changed(text: &str, changes: &[(prop::sample::Index, prop::sample::Index, usize)]) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for (place, splice, removed) in changes {
            let at = place.index(chars.len() + 1);
            let end = (at + removed).min(chars.len());
            chars.splice(at..end, splice.get(SPLICES).chars());
        }
        chars.into_iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// Whatever is done to a good file, the answer is a configuration or problems with places and remedies.
        #[test]
        fn parsing_never_panics(
            file in prop::sample::select(vec!["design.yaml", "both.yaml", "every-field.yaml", "talos.yaml"]),
            changes in prop::collection::vec(
                (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..6), 1..4),
        ) {
            if let Err(error) = parse(&changed(&text_of(file), &changes)) {
                prop_assert!(!error.problems.is_empty());
                for problem in error.problems {
                    prop_assert!(!problem.remedy.is_empty(), "{}", problem.message);
                    prop_assert!(!problem.remedy.contains("fault of vaultk8s"), "{}", problem.message);
                }
            }
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }

        /// Without one of its lines a good file is still judged.
        #[test]
        fn lines_may_be_missing(line in any::<prop::sample::Index>()) {
            let text = text_of("every-field.yaml");
            let gone = line.index(text.lines().count());
            let rest: Vec<&str> = text.lines().enumerate().filter(|(index, _)| *index != gone).map(|(_, line)| line).collect();
            if let Err(error) = parse(&rest.join("\n")) {
                prop_assert!(!error.problems.is_empty());
            }
        }
    }
}

#[test]
fn a_file_that_lets_nobody_in_says_so() {
    let clusters = "clusters:
  - { name: a, context: a, auth: { method: jwt, audience: vault } }
  - { name: b, context: b, auth: { method: jwt, audience: vault } }
";
    let warnings = |text: &str| told(&parse(&format!("{clusters}{text}")).unwrap().warnings);
    let nobody = "no roles: nobody can log in, nothing is verified";
    for text in ["", "roles: []\n", "policies: [{ name: p, read: [x] }]\n"] {
        assert!(warnings(text).contains(nobody), "{text}");
    }
    assert!(warnings("roles: []\n").contains("vaultk8s.yaml:4:1: no roles"));
    let role = "policies: [{ name: p, read: [x] }]\nroles: [{ name: r, serviceAccounts: n/s, policies: p, ttl: 1h, clusters: CLUSTERS }]\n";
    assert_eq!(warnings(&role.replace("CLUSTERS", "[a, b]")), "");
    let one = warnings(&role.replace("CLUSTERS", "a"));
    assert!(one.contains("vaultk8s.yaml:3:5: no roles for the cluster b: nobody can log in there"), "{one}");
    assert!(!one.contains(nobody), "{one}");
}

/// Of an accessor that is written out nobody knows here whose it is: what may be wrong refuses no file.
#[test]
fn metadata_of_an_accessor_that_is_written_out_are_a_warning_at_most() {
    let told_of = |mount: &str| {
        let text = format!(
            "clusters:
  - {{ name: prod, context: prod, auth: {{ method: jwt, audience: vault }} }}
policies:
  - {{ name: own, read: '{{{{identity.entity.aliases.{mount}.metadata.namespace}}}}/*' }}
roles:
  - {{ name: one, serviceAccounts: ns/app, policies: own, ttl: 1h, claimMappings: {{ /kubernetes.io/namespace: namespace }} }}
  - {{ name: other, serviceAccounts: ns/app, policies: own, ttl: 1h, claimMappings: {{ /iss: issuer, /kubernetes.io/namespace: namespace }} }}
"
        );
        match parse(&text) {
            Ok(config) => (true, told(&config.warnings)),
            Err(error) => (false, told(&error.problems)),
        }
    };
    let (valid, text) = told_of("{accessor}");
    assert!(!valid && text.contains("a login as other changes what tokens of one"), "{text}");
    let (valid, text) = told_of("auth_kubernetes_1234");
    assert!(valid && text.contains("a login as other may change what tokens of one"), "{text}");
}
