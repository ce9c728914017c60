//! The login is the proof: where it works, what was read of its way warns; where nothing judged it, nobody is said to have
//! refused; and where it wants a second factor, that is the cause.

use lab::{BrokenLogins, LoginFault};
use serde_json::{Value, json};

use super::entry::{Entry, entry, run};
use super::setup::{Setup, Shape, flags, jwt};

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

/// How a check went, and what it says, wherever it stands.
fn found<'a>(said: &'a Value, id: &str) -> Vec<&'a Value> {
    let sections = said["sections"].as_array().map(Vec::as_slice).unwrap_or_default();
    let checks = sections.iter().filter_map(|section| section["checks"].as_array()).flatten();
    checks.filter(|check| check["id"] == id).collect()
}

/// Nothing failed, and these are all that warn.
#[track_caller]
fn only_warns(setup: &Setup, warned: &[&str]) -> Value {
    let (code, said, all) = setup.verify();
    let causes = said["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<&str> = causes.iter().filter_map(|cause| cause["id"].as_str()).collect();
    assert!(code == 0 && said["success"] == true && ids == warned, "exit {code}, {ids:?}: {causes:#?}\n{all}");
    for cause in causes {
        assert!(cause["status"] == "warning", "{cause}");
        assert!(cause["why"].as_str().unwrap().contains("the login works all the same"), "{cause}");
    }
    assert_eq!(found(&said, "VK431")[0]["status"], "passed", "{all}");
    said
}

// As a load balancer's certificate that is pinned by itself: Vault takes one that is trusted as it is, and so nothing is wrong.
#[test]
fn a_certificate_that_is_pinned_by_itself_is_no_fault() {
    let setup = Setup::new(Shape { vault: Some(lab::VaultOptions::default()), ..kubernetes() });
    let host = setup.cluster().server().trim_start_matches("https://").to_owned();
    let shown = setup.shell(&format!("openssl s_client -connect {host} </dev/null 2>/dev/null | openssl x509"));
    let leaf = String::from_utf8(shown.stdout).unwrap();
    assert!(leaf.contains("BEGIN CERTIFICATE"), "{leaf}");
    setup.mount_config(json!({ "kubernetes_ca_cert": leaf }));
    let said = only_warns(&setup, &[]);
    for id in ["VK321", "VK423", "VK506"] {
        assert_eq!(found(&said, id)[0]["status"], "passed", "{id}: {said}");
    }
}

// Vault has a token of another reviewer than the file's, as after somebody else set the mount up.
#[test]
fn another_reviewer_that_works_is_a_warning() {
    let setup = Setup::new(kubernetes());
    let (cluster, namespace) = (setup.cluster(), &setup.namespace);
    cluster.service_account(namespace, "other-reviewer");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": format!("{namespace}-other") },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
        "subjects": [{ "kind": "ServiceAccount", "name": "other-reviewer", "namespace": namespace }],
    });
    assert_eq!(cluster.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).0, 201);
    setup.mount_config(json!({ "token_reviewer_jwt": cluster.token(namespace, "other-reviewer", &[], 3600) }));
    cluster.delete(&format!("/api/v1/namespaces/{namespace}-review/serviceaccounts/vault-auth"));
    only_warns(&setup, &["VK323"]);
}

// The token is there already, and nobody here knows a way to its cluster.
#[test]
fn a_cluster_that_does_not_answer_is_a_warning_where_the_token_is_there() {
    let mut setup = Setup::new(flags());
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    setup.present(&token);
    setup.write_file(
        "gone",
        "{apiVersion: v1, kind: Config, current-context: gone, contexts: [{name: gone, context: {cluster: gone}}], \
         clusters: [{name: gone, cluster: {server: 'https://127.0.0.1:1'}}]}",
    );
    setup.option("--kubeconfig", Some("gone"));
    only_warns(&setup, &["VK201"]);
}

/// Puts something in front of Vault that does this to logins.
fn in_front(setup: &mut Setup, fault: LoginFault) {
    let shared = lab::shared();
    let logins = BrokenLogins::start(shared.vault_address(), shared.run().vault_authority());
    logins.set(fault);
    setup.environment.insert("VAULT_ADDR", logins.address().to_owned());
    setup.environment.insert("VAULT_MAX_RETRIES", "0".to_owned());
    setup.logins = Some(logins);
}

fn away(setup: &mut Setup) {
    setup.logins.as_ref().unwrap().set(LoginFault::None);
}

fn unanswered(name: &'static str, fault: fn(&mut Setup), words: &'static [&'static str]) -> Entry {
    entry(name, jwt, fault, "VK431", words).person(away)
}

#[test]
fn a_login_that_nobody_answered_was_not_refused() {
    use LoginFault::{Lost, Page, Reset, Says};
    const PAGE: &str = "<html>upstream connect error</html>";
    run(
        "logins without an answer",
        &[
            unanswered("reset", |setup| in_front(setup, Reset), &["got no answer", "ended before the answer"]),
            unanswered(
                "lost after Vault answered",
                |setup| in_front(setup, Lost),
                &["got no answer", "perhaps a token that nobody has seen"],
            ),
            unanswered(
                "a page of a proxy",
                |setup| in_front(setup, Page(503, PAGE)),
                &["got no answer", "HTML page (503)"],
            ),
            unanswered(
                "a page with 403",
                |setup| in_front(setup, Page(403, PAGE)),
                &["got no answer", "HTML page (403)"],
            ),
            unanswered(
                "a quota",
                |setup| in_front(setup, Says(429, "request path \"auth/x/login\": rate limit quota exceeded")),
                &["a quota of Vault stops logins", "none gets through", "rate limit quota exceeded"],
            ),
            unanswered(
                "sealed since",
                |setup| in_front(setup, Says(503, "Vault is sealed")),
                &["got no answer", "is sealed"],
            ),
            unanswered(
                "a standby without an active node",
                |setup| in_front(setup, Says(500, "local node not active but active cluster node not found")),
                &["got no answer", "finds no active node"],
            ),
            // What a server says of a login is said as it was.
            entry(
                "a refusal",
                jwt,
                |setup| in_front(setup, Says(400, "error validating token: something new")),
                "VK431",
                &["Vault refuses the login", "something new"],
            )
            .person(away),
        ],
    );
}

// Nothing was proved, so a bootstrap is not done; and a stranger whose login nobody answered was not refused.
#[test]
fn what_nobody_answered_proves_nothing() {
    let mut setup = Setup::new(jwt());
    in_front(&mut setup, LoginFault::Reset);
    let answer = setup.shell(&format!("vaultk8s bootstrap --yes --approve take-over -f {}", setup.file.display()));
    let told = super::setup::shown(&answer);
    assert!(answer.status.code() == Some(1) && told.contains("the login got no answer from Vault"), "{told}");
    assert!(!told.contains("refuses"), "{told}");
    let login = format!(
        "vaultk8s login --mount {} --role r-app --service-account {}/app --audience vault",
        setup.mount, setup.namespace
    );
    let told = super::setup::shown(&setup.shell(&login));
    assert!(told.contains("gave no token") && !told.contains("refused"), "{told}");
}

/// Binds an enforcement of a second factor to something, with the accessor of the mount.
fn enforce(setup: &Setup, bound: impl FnOnce(&str) -> Value) {
    let vault = setup.vault();
    let method =
        vault.write("identity/mfa/method/totp", &json!({ "issuer": "lab", "method_name": lab::unique("totp") }));
    let mounts = vault.read("sys/auth");
    let accessor = mounts["data"][format!("{}/", setup.mount)]["accessor"].as_str().unwrap();
    let mut body = bound(accessor);
    body["mfa_method_ids"] = json!([method["data"]["method_id"]]);
    vault.write(&format!("identity/mfa/login-enforcement/{}", setup.policy), &body);
}

fn of_the_mount(setup: &mut Setup) {
    enforce(setup, |accessor| json!({ "auth_method_accessors": [accessor] }));
}

fn of_the_type(setup: &mut Setup) {
    enforce(setup, |_| json!({ "auth_method_types": ["kubernetes"] }));
}

fn of_the_entity(setup: &mut Setup) {
    let vault = setup.vault();
    let (accessor, aliases) = (
        vault.read("sys/auth")["data"][format!("{}/", setup.mount)]["accessor"].clone(),
        vault.list("identity/entity-alias/id").1,
    );
    let infos = aliases["data"]["key_info"].as_object().unwrap();
    let ours = infos.values().find(|info| info["mount_accessor"] == accessor).unwrap();
    let entity = ours["canonical_id"].clone();
    enforce(setup, |_| json!({ "identity_entity_ids": [entity] }));
}

fn unbind(setup: &mut Setup) {
    setup.vault().delete(&format!("identity/mfa/login-enforcement/{}", setup.policy));
}

#[test]
fn a_second_factor_is_a_cause_of_its_own() {
    fn own_vault(shape: Shape) -> Shape {
        Shape { vault: Some(lab::VaultOptions::default()), ..shape }
    }
    const WORDS: &[&str] = &["second factor", "p-catalogue-"];
    let mfa = |name, shape, fault| entry(name, shape, fault, "VK431", WORDS).person(unbind);
    run(
        "login MFA",
        &[
            mfa("of the mount", jwt, of_the_mount),
            mfa("of the mount (flags)", flags, of_the_mount),
            mfa("of the mount (kubernetes)", kubernetes, of_the_mount),
            mfa("of the type", || own_vault(kubernetes()), of_the_type),
            mfa("of the entity", jwt, of_the_entity),
        ],
    );
}

#[test]
fn a_second_factor_is_told_by_every_command() {
    let mut setup = Setup::new(jwt());
    of_the_mount(&mut setup);
    let (code, said, all) = setup.verify();
    let cause = said["causes"][0].to_string();
    assert!(code == 1 && cause.contains(&format!("which is auth/{}", setup.mount)), "{all}");
    // Nobody is asked what a login may do that gave no token.
    assert_eq!(found(&said, "VK506")[0]["status"], "notReached", "{all}");
    let (file, mount, namespace) = (setup.file.display(), &setup.mount, &setup.namespace);
    for command in [
        format!("vaultk8s bootstrap --yes -f {file}"),
        format!("vaultk8s login --mount {mount} --role r-app --service-account {namespace}/app --audience vault"),
    ] {
        let answer = setup.shell(&command);
        let told = super::setup::shown(&answer);
        assert!(answer.status.code() == Some(1), "{command}: {told}");
        assert!(told.contains("second factor") && told.contains(&setup.policy), "{command}: {told}");
    }
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    setup.write_file("jwt", &token);
    let login =
        format!("vaultk8s plan -f {file} --login jwt --login-mount {mount} --login-role r-app --login-jwt-file jwt");
    let told = super::setup::shown(&setup.shell(&login));
    assert!(told.contains("second factor") && told.contains(&setup.policy), "{told}");
    assert!(!told.contains(&token), "{told}");
}

// What stands before Vault lets one login through, and no more: that proves nothing of who must be refused.
#[test]
fn tests_of_who_must_be_refused_that_were_not_made_are_no_success() {
    let mut setup = Setup::new(jwt());
    in_front(&mut setup, LoginFault::LaterPage(503, "<html>too much</html>"));
    let (code, said, all) = setup.verify();
    assert!(code == 1 && said["success"] == false, "exit {code}\n{all}");
    assert_eq!(found(&said, "VK431")[0]["status"], "passed", "{all}");
    let unknown: Vec<&Value> = ["VK801", "VK802", "VK803", "VK804"].iter().flat_map(|id| found(&said, id)).collect();
    assert!(
        unknown.iter().any(|check| check["detail"].as_str().unwrap().contains("was not tried")),
        "{unknown:?}\n{all}"
    );
    // A limit there is one cause, told once, and as what it is.
    let mut setup = Setup::new(jwt());
    in_front(&mut setup, LoginFault::LaterPage(429, "<html>slow down</html>"));
    setup.environment.insert("VAULT_CLIENT_TIMEOUT", "2s".to_owned());
    let (code, said, all) = setup.verify();
    assert!(code == 1 && said["success"] == false, "exit {code}\n{all}");
    let limit = &found(&said, "VK432")[0];
    let detail = limit["detail"].as_str().unwrap();
    assert!(limit["status"] == "failed" && detail.contains("what stands before Vault stops logins"), "{all}");
    assert!(!all.contains("check the address"), "{all}");
    let tried = ["VK801", "VK802", "VK803", "VK804"].iter().flat_map(|id| found(&said, id));
    assert!(tried.filter(|check| check["status"] == "passed").count() == 0, "{all}");
}
