//! Logging in for one run, as a CI job or a pod does that has no token of Vault: against a real OpenBao (or Vault) and a
//! real kube-apiserver.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use lab::{Mount, Vault, VaultOptions, VaultServer};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;
use crate::kubernetes_fixture::{self, API_AUDIENCE};

/// A job that may do what one configuration takes, and nothing else.
struct Job {
    fixture: Fixture,
    /// The policy of its login, which nobody else has.
    operator: String,
    /// Where it logs in.
    mount: Mount,
    /// Its account is `ci` there.
    namespace: String,
}

impl Job {
    /// With a jwt mount, made by the tool itself.
    fn new() -> Self {
        let job = Self::at("jwt-ci");
        admin(&format!("auth jwt --mount {}", job.mount));
        job.role("ci", "vault-ci", "");
        job
    }

    fn at(prefix: &str) -> Self {
        let (lab, fixture) = (lab::shared(), Fixture::new());
        let (operator, mount, namespace) = (lab.unique("operator"), lab.mount(prefix), lab.namespace("ci"));
        let policy = Vaultk8s::new(["render", "operator-policy"]).config(&fixture.config).run().exits(0).stdout;
        lab.vault().write(&format!("sys/policies/acl/{operator}"), &json!({ "policy": policy }));
        lab.service_account(&namespace, "ci");
        Self { fixture, operator, mount, namespace }
    }

    fn role(&self, name: &str, audience: &str, more: &str) {
        let Self { operator, mount, namespace, .. } = self;
        admin(&format!(
            "role {name} --mount {mount} --service-account {namespace}/ci --policy {operator} --audience {audience} \
             --ttl 10m {more}"
        ));
    }

    fn token(&self, audiences: &[&str]) -> String {
        lab::shared().token(&self.namespace, "ci", audiences, 600)
    }

    /// A command line of the job, without any token of Vault.
    fn command(&self, line: &str) -> Vaultk8s {
        Vaultk8s::new(line.split_whitespace()).on_shared().without("VAULT_TOKEN").config(&self.fixture.config)
    }

    /// The same, with the job's token in a file.
    fn logs_in(&self, line: &str) -> Vaultk8s {
        self.command(&format!("{line} --login jwt --login-mount {} --login-jwt-file jwt", self.mount))
            .file("jwt", &self.token(&["vault-ci"]))
    }

    /// How many tokens of its logins are alive.
    fn alive(&self) -> usize {
        alive(lab::shared().vault(), &self.operator)
    }

    /// Checks what holds at the end of every run: no token is left, and none was shown.
    #[track_caller]
    fn left_nothing(&self, answer: Answer) -> Answer {
        assert_eq!(self.alive(), 0, "a token is alive; stderr:\n{}", answer.stderr);
        for secret in ["eyJ", "hvs.", "s."] {
            let shown = format!("{}{}", answer.stdout, answer.stderr);
            let word = shown.split_whitespace().find(|word| word.starts_with(secret));
            assert_eq!(word, None, "a token is shown");
        }
        answer
    }
}

/// Runs a command as somebody who may do everything.
fn admin(line: &str) {
    Vaultk8s::new(line.split_whitespace()).on_shared().run().exits(0);
}

/// How many tokens with this policy a server knows.
fn alive(vault: &Vault, policy: &str) -> usize {
    let (status, accessors) = vault.list("auth/token/accessors");
    assert_eq!(status, 200);
    let accessors = accessors["data"]["keys"].as_array().unwrap().clone();
    let carries = |accessor: &&Value| {
        // Those of other tests may be gone by now.
        let (_, token) = vault.post("auth/token/lookup-accessor", &json!({ "accessor": accessor }));
        token["data"]["policies"].as_array().is_some_and(|policies| policies.contains(&policy.into()))
    };
    accessors.iter().filter(carries).count()
}

#[test]
fn a_job_plans_and_bootstraps_with_its_own_token_and_no_other() {
    let job = Job::new();
    let from_file = |line: &str| job.left_nothing(job.logs_in(&format!("{line} --login-role ci")).run());
    from_file("plan")
        .exits(0)
        .says(&["to create"])
        .complains(&["logging in to", "as the role ci with the JWT from jwt"]);
    from_file("bootstrap").exits(0).says(&["1 login verified"]);
    from_file("plan --detailed-exitcode").exits(0).says(&["No changes."]);

    // From the environment, as CI systems have it; what else is there is left alone.
    let job_of = |line: &str| {
        let command = job.command(line).env("VAULTK8S_LOGIN", "jwt").env("VAULTK8S_LOGIN_MOUNT", &job.mount);
        command.env("VAULTK8S_LOGIN_ROLE", "ci").env("VAULT_TOKEN", "hvs.stale").file(".vault-token", "stale")
    };
    let token = job.token(&["vault-ci"]);
    let answer = job_of("plan").env("VAULTK8S_LOGIN_JWT", &token).run();
    job.left_nothing(answer).exits(0).complains(&["with the JWT from VAULTK8S_LOGIN_JWT; VAULT_TOKEN is not used"]);
    let answer = job_of("plan --login-jwt-env CI_TOKEN").env("CI_TOKEN", &token).run();
    job.left_nothing(answer).exits(0).complains(&["with the JWT from CI_TOKEN"]);
    let answer = job_of("plan").env("VAULTK8S_LOGIN_JWT_FILE", "jwt").file("jwt", &token).run();
    job.left_nothing(answer).exits(0);
    let answer = job_of("plan --login-jwt-file -").stdin(&token).run();
    job.left_nothing(answer).exits(0).complains(&["with the JWT from standard input"]);
    // The small commands, and one that needs no token.
    let answer =
        job_of("login --mount jwt-none --role none --jwt-file -").env("VAULTK8S_LOGIN_JWT", &token).stdin(&token).run();
    job.left_nothing(answer).exits(1).complains(&["as the role ci", "Vault refused the login at auth/jwt-none/login"]);
    let policy = &job.fixture.policy;
    let step = format!("policy {policy} --read x/*");
    let answer = job_of(&step).env("VAULTK8S_LOGIN_JWT", &token).run();
    job.left_nothing(answer).exits(1).complains(&["No changes made", "--approve take-over"]);
    let answer = job_of(&format!("{step} --approve take-over")).env("VAULTK8S_LOGIN_JWT", &token).run();
    job.left_nothing(answer).exits(0).says(&["1 change made."]);
}

#[test]
fn a_pod_logs_in_at_a_mount_that_asks_the_cluster() {
    let reviewer = kubernetes_fixture::Fixture::new("token: secret", "");
    reviewer.bootstrap();
    let job = Job { mount: reviewer.mount, ..Job::at("unused") };
    job.role("ci", API_AUDIENCE, "");
    let run = |line: &str| {
        let command = job.command(&format!("{line} --login kubernetes --login-mount {} --login-role ci", job.mount));
        job.left_nothing(command.env("VAULTK8S_LOGIN_JWT_FILE", "token").file("token", &job.token(&[])).run())
    };
    run("plan").exits(0).says(&["to create"]);
    run("bootstrap").exits(0).says(&["1 login verified"]);
    // Not in a pod, there is no other token to take.
    let line = format!("plan --login kubernetes --login-mount {} --login-role ci", job.mount);
    job.command(&line)
        .run()
        .exits(64)
        .complains(&["/var/run/secrets/kubernetes.io/serviceaccount/token", "--login-jwt-file"]);
    // A token for others than the API server.
    let answer = job.command(&format!("{line} --login-jwt-file token")).file("token", &job.token(&["vault-ci"])).run();
    job.left_nothing(answer).exits(1).complains(&["as the role ci", "aud [\"vault-ci\"]"]);
}

#[test]
fn an_app_role_logs_in() {
    let (job, vault) = (Job::at("approle-ci"), lab::shared().vault());
    let Job { mount, operator, .. } = &job;
    vault.write(&format!("sys/auth/{mount}"), &json!({ "type": "approle" }));
    let role = format!("auth/{mount}/role/ci");
    vault.write(&role, &json!({ "token_policies": [operator], "token_ttl": "10m", "secret_id_num_uses": 2 }));
    let role_id = vault.read(&format!("{role}/role-id"))["data"]["role_id"].as_str().unwrap().to_owned();
    let secret_id =
        vault.write(&format!("{role}/secret-id"), &json!({}))["data"]["secret_id"].as_str().unwrap().to_owned();
    let command = |line: &str| {
        job.command(&format!("{line} --login approle --login-mount {mount}")).env("VAULTK8S_LOGIN_ROLE_ID", &role_id)
    };
    let never_shown = |answer: Answer| {
        assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(&secret_id), "the secret id is shown");
        job.left_nothing(answer)
    };
    never_shown(command("bootstrap").env("VAULTK8S_LOGIN_SECRET_ID", &secret_id).run()).exits(0);
    let in_file = command("plan --detailed-exitcode --login-secret-id-file id").file("id", &format!("{secret_id}\n"));
    never_shown(in_file.run()).exits(0).says(&["No changes."]).complains(&["the secret id from id"]);

    // Its two uses are used up; so is one that never was.
    for wrong in [secret_id.as_str(), "11111111-2222-3333-4444-555555555555"] {
        let answer = never_shown(command("plan").env("SECRET", wrong).args(["--login-secret-id-env", "SECRET"]).run());
        answer.exits(1).complains(&["invalid role or secret ID", mount, &role_id, "role/NAME/secret-id"]);
    }
    // The secret id in place of the variable's name.
    let answer = never_shown(command("plan").args(["--login-secret-id-env", &secret_id]).run());
    answer.exits(64).complains(&["the variable that --login-secret-id-env names is not set", "without `$`"]);
    command("plan").run().exits(64).complains(&["no secret id to log in with", "--login-secret-id-file"]);
}

#[test]
fn a_refused_login_says_what_was_asked_and_what_to_do() {
    let job = Job::new();
    let mount = &job.mount;
    job.role("other", "elsewhere", "");
    let token = job.token(&["vault-ci"]);
    let elsewhere = job.fixture.mount.as_str();
    for (flags, words) in [
        (format!("--login-role nobody --login-mount {mount}"), &["\"nobody\" could not be found", "--login-role"][..]),
        (format!("--login-role other --login-mount {mount}"), &["audience", "aud [\"vault-ci\"]", "auth/jwt-ci"]),
        (
            format!("--login-role ci --login-mount {elsewhere}"),
            &["permission denied", "vault auth list", "--login-mount"],
        ),
        (format!("--login-role ci --login-mount {mount} --namespace team"), &["in the namespace team", "--namespace"]),
    ] {
        let answer = job.command(&format!("plan --login jwt --login-jwt-file jwt {flags}")).file("jwt", &token).run();
        job.left_nothing(answer).exits(1).complains(&["error: the login at auth/", "as the role"]).complains(words);
    }
    let plan = |line: &str| job.command(&format!("plan --login jwt --login-role ci --login-mount {mount} {line}"));
    plan("--login-jwt-file jwt").file("jwt", "hvs.none").run().exits(1).complains(&["has not the claims of a JWT"]);
    plan("--login-jwt-file none").run().exits(64).complains(&["the JWT file none could not be read"]);
    plan("--login-jwt-file jwt").file("jwt", " \n").run().exits(64).complains(&["there is no JWT in jwt: it is empty"]);
    plan("--login-jwt-env CI_TOKEN")
        .env("CI_TOKEN", "")
        .run()
        .exits(64)
        .complains(&["no JWT in CI_TOKEN: it is empty"]);
    // The token in place of its name.
    for flag in ["--login-jwt-file", "--login-jwt-env"] {
        let answer = plan("").args([flag, &token]).run().exits(64).complains(&[flag]);
        assert!(!answer.stderr.contains(&token[..20]), "{}", answer.stderr);
    }
}

#[test]
fn a_job_of_github_actions_asks_for_its_token() {
    let job = Job::new();
    let token = job.token(&["vault-ci"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answers = |template: ResponseTemplate| {
        runtime.block_on(async {
            let server = MockServer::start().await;
            let asked = Mock::given(method("GET")).and(path("/token")).and(query_param("api-version", "2.0"));
            asked
                .and(query_param("audience", "vault-ci"))
                .and(header("authorization", "Bearer shown"))
                .respond_with(template)
                .mount(&server)
                .await;
            server
        })
    };
    let run = |server: &MockServer, shown: &str| {
        let line = format!("plan --login jwt --login-mount {} --login-role ci --login-audience vault-ci", job.mount);
        let command = job.command(&line).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", shown);
        let url = format!("{}/token?api-version=2.0", server.uri());
        job.left_nothing(command.env("ACTIONS_ID_TOKEN_REQUEST_URL", url).run())
    };
    let server = answers(ResponseTemplate::new(200).set_body_json(json!({ "count": 1, "value": token })));
    run(&server, "shown").exits(0).complains(&["with the JWT from GitHub Actions"]);
    run(&server, "other").exits(1).complains(&["GitHub Actions", "answered 404", "id-token: write"]);
    let server = answers(ResponseTemplate::new(200).set_body_string(token.clone()));
    run(&server, "shown").exits(1).complains(&["answered without one"]);
}

#[test]
fn the_login_ends_with_the_run_whatever_comes_of_it() {
    let job = Job::new();
    // Wrong usage needs no login.
    let answer = job.logs_in("plan --login-role ci --cluster none").run().exits(64);
    assert!(!answer.stderr.contains("logging in"), "{}", answer.stderr);

    // A run that fails after it.
    let other = job.fixture.config.replace(&*job.fixture.mount, &lab::shared().mount("jwt-other"));
    let answer = job.logs_in("bootstrap --login-role ci").config(&other).run();
    job.left_nothing(answer).exits(1).says(&["sys/auth/jwt-other"]);

    // One that is interrupted before it began anything: at a cluster that doesn't answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let kubeconfig = format!(
        "{{ apiVersion: v1, kind: Config, clusters: [{{ name: c, cluster: {{ server: 'http://{}' }} }}], users: [{{ name: u, \
         user: {{}} }}], contexts: [{{ name: silent, context: {{ cluster: c, user: u }} }}] }}",
        silent.local_addr().unwrap()
    );
    let hanging =
        job.logs_in("bootstrap --login-role ci --kubeconfig k.yaml --context silent").file("k.yaml", &kubeconfig);
    let running = hanging.start();
    let _connection = silent.accept().unwrap();
    assert_eq!(job.alive(), 1);
    assert!(std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
    job.left_nothing(running.finish()).exits(130);
}

#[test]
fn what_the_login_s_role_says_about_its_token_is_borne_or_told() {
    let job = Job::new();
    let vault = lab::shared().vault();
    let role = |name: &str, fields: Value| {
        job.role(name, "vault-ci", "");
        let path = format!("auth/{}/role/{name}", job.mount);
        let mut role = vault.read(&path)["data"].clone();
        role.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        vault.write(&path, &role);
    };
    let run = |line: &str| job.logs_in(line).run();

    role("batch", json!({ "token_type": "batch" }));
    job.left_nothing(run("bootstrap --login-role batch")).exits(0);

    role("few", json!({ "token_num_uses": 100 }));
    let answer = job.left_nothing(run("plan --login-role few")).exits(0);
    answer.complains(&["warning: the token of the login", "ends after 100 requests", "token_num_uses"]);

    role("fewer", json!({ "token_num_uses": 2 }));
    let answer = run("bootstrap --login-role fewer");
    // A token whose uses are spent is ended by the server, in its own time.
    let patience = Instant::now() + Duration::from_secs(10);
    while job.alive() > 0 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(50));
    }
    job.left_nothing(answer).exits(1);

    // It may not revoke itself, and ends with its time.
    role("bare", json!({ "token_no_default_policy": true }));
    let answer = run("plan --login-role bare").exits(0);
    answer.complains(&[
        "could not be revoked; it lives for 600 s",
        "\"auth/token/revoke-self\" { capabilities = [\"update\"] }",
    ]);
    assert_eq!(job.alive(), 1);
}

#[test]
fn the_login_and_its_end_are_counted() {
    let job = Job::new();
    let server = VaultServer::start(&VaultOptions { audit: true, ..VaultOptions::default() });
    let on_server = |line: &str| Vaultk8s::new(line.split_whitespace()).on(&server);
    let Job { mount, namespace, .. } = &job;
    on_server(&format!("auth jwt --mount {mount}")).run().exits(0);
    server.client().write(
        "sys/policies/acl/ci",
        &json!({ "policy": "path \"*\" { capabilities = [\"read\", \"list\", \"create\", \"update\", \"sudo\"] }" }),
    );
    on_server(&format!("role ci --mount {mount} --service-account {namespace}/ci --policy ci --audience vault-ci"))
        .run()
        .exits(0);

    let before = server.requests().len();
    let answer =
        on_server(&format!("bootstrap -o json --login jwt --login-mount {mount} --login-role ci --login-jwt-file jwt"))
            .config(&job.fixture.config)
            .file("jwt", &job.token(&["vault-ci"]))
            .run()
            .exits(0);
    let requests = server.requests();
    assert_eq!(answer.json()["requests"], requests.len() - before);
    assert!(requests[before].path.ends_with("/login") && requests.last().unwrap().path == "auth/token/revoke-self");
    assert_eq!(alive(server.client(), "ci"), 0);
}
