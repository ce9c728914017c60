use std::path::PathBuf;
use std::process::{Command, ExitCode};

use lab::supervise::Supervised;
use lab::{AuditedRequest, Error, Lab, Result, RunningLab, Vault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::console::result;
use crate::{shell, workspace};

const CONFIG: &str = "testdata/configs/talos.yaml";
const NAMESPACE: &str = "external-secrets";
const SERVICE_ACCOUNT: &str = "external-secrets";
const MOUNT: &str = "jwt-taloslmn";
const ROLE: &str = "r-eso-jwt-taloslmn-read";
const SECRET: &str = "k8s/taloslmn/demo-db";

/// `cargo lab demo`
pub(crate) fn demo() -> Result<ExitCode> {
    let program = super::build()?;
    let running = super::start()?;
    Demo { running: &running, program }.play()?;
    result("\nThat was the demo. The servers end now, and nothing of them stays.")?;
    Ok(ExitCode::SUCCESS)
}

struct Demo<'a> {
    running: &'a RunningLab,
    program: PathBuf,
}

impl Demo<'_> {
    fn lab(&self) -> &Lab {
        self.running.lab()
    }

    fn play(&self) -> Result<()> {
        tell("An empty Vault, and a cluster. These lead to them:")?;
        show(&["export", &format!("VAULT_ADDR={}", self.lab().vault_address())])?;
        show(&["export", &format!("VAULT_CACERT={}", self.lab().vault_ca().display())])?;
        show(&["export", "VAULT_TOKEN=…"])?;
        show(&["export", &format!("KUBECONFIG={}", self.lab().kubeconfig().display())])?;

        tell("What the cluster's applications need is in Vault:")?;
        self.put(SECRET, "db_password", "supersecret")?;
        self.put("k8s/taloslmn/minio", "root_password", "minio-secret")?;
        self.put("k8s/taloslmn/velero", "aws_secret_access_key", "velero-secret")?;
        self.put("k8s/elsewhere/app", "password", "not-for-this-cluster")?;

        tell("External Secrets runs as this service account:")?;
        show(&["kubectl", "create", "namespace", NAMESPACE])?;
        self.lab().kubernetes().create_namespace(NAMESPACE)?;
        show(&["kubectl", "-n", NAMESPACE, "create", "serviceaccount", SERVICE_ACCOUNT])?;
        self.lab().kubernetes().create_service_account(NAMESPACE, SERVICE_ACCOUNT)?;

        tell("One command sets up the trust between the two, and proves it:")?;
        self.bootstrap()?;
        tell("Again: there is nothing left to do.")?;
        let before = self.running.requests()?.len();
        self.bootstrap()?;
        no_writes(&self.running.requests()?[before..])?;

        tell("What External Secrets does from now on:")?;
        let role = self.log_in()?;
        show(&["vault", "kv", "get", "-field=db_password", &format!("secret/{SECRET}")])?;
        let read = role.expect(Method::GET, &format!("secret/data/{SECRET}"), None)?;
        let password = &read["data"]["data"]["db_password"];
        result(password.as_str().unwrap_or_default())?;
        ensure(password == "supersecret", || format!("this isn't what was put there: {password}"))?;

        tell("And what it can't do:")?;
        show(&["vault", "kv", "get", "secret/k8s/elsewhere/app"])?;
        let (code, answer) = role.request(Method::GET, "secret/data/k8s/elsewhere/app", None)?;
        ensure(code == 403, || format!("expected 403, but Vault answered {code}: {answer}"))?;
        result("403: permission denied")?;
        role.expect(Method::POST, "auth/token/revoke-self", None).map(drop)
    }

    fn put(&self, path: &str, field: &str, value: &str) -> Result<()> {
        show(&["vault", "kv", "put", &format!("secret/{path}"), &format!("{field}={value}")])?;
        let body = json!({ "data": { field: value } });
        self.lab().vault().expect(Method::POST, &format!("secret/data/{path}"), Some(&body)).map(drop)
    }

    /// Runs `vaultk8s bootstrap` as a reader would, with nothing but the lab in its environment.
    fn bootstrap(&self) -> Result<()> {
        show(&["vaultk8s", "bootstrap", "-f", CONFIG, "--address", "$VAULT_ADDR", "--yes"])?;
        let mut command = Command::new(&self.program);
        workspace::isolate(&mut command);
        command
            .current_dir(workspace::root())
            .args(["bootstrap", "-f", CONFIG, "--address", self.lab().vault_address(), "--yes"])
            .env("VAULT_ADDR", self.lab().vault_address())
            .env("VAULT_CACERT", self.lab().vault_ca())
            .env("VAULT_TOKEN", self.lab().root_token())
            .env("KUBECONFIG", self.lab().kubeconfig())
            .env("HOME", self.lab().run().folder());
        let mut bootstrap = Supervised::command_of(self.lab().run(), "vaultk8s bootstrap", &command)?;
        let ended = bootstrap.wait()?;
        ensure(ended.success(), || format!("vaultk8s bootstrap failed ({ended})"))
    }

    fn log_in(&self) -> Result<Vault> {
        let seconds = 600;
        result(&format!(
            "$ JWT=$(kubectl -n {NAMESPACE} create token {SERVICE_ACCOUNT} --audience=vault --duration={seconds}s)"
        ))?;
        let jwt = self.lab().kubernetes().request_token(NAMESPACE, SERVICE_ACCOUNT, &["vault"], seconds)?;
        result(&format!("$ VAULT_TOKEN=$(vault write -field=token auth/{MOUNT}/login role={ROLE} jwt=\"$JWT\")"))?;
        let body = json!({ "role": ROLE, "jwt": jwt });
        let anyone = self.lab().vault().without_token();
        let login = anyone.expect(Method::POST, &format!("auth/{MOUNT}/login"), Some(&body))?;
        match &login["auth"]["client_token"] {
            Value::String(token) => Ok(anyone.with_token(token)),
            _ => Err(Error::new("the login's answer has no token")),
        }
    }
}

fn tell(text: &str) -> Result<()> {
    result(&format!("\n# {text}"))
}

/// Shows a command that a reader could type.
fn show(words: &[&str]) -> Result<()> {
    let line: Vec<String> =
        words.iter().map(|word| if word.starts_with('$') { format!("\"{word}\"") } else { shown(word) }).collect();
    result(&format!("$ {}", line.join(" ")))
}

fn shown(word: &str) -> String {
    // Left out on purpose, so not to be typed.
    if word.ends_with('…') { word.to_owned() } else { shell::quote(word) }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::new(otherwise())) }
}

/// Vault's own word, from its audit log.
fn no_writes(requests: &[AuditedRequest]) -> Result<()> {
    let writes: Vec<String> = requests
        .iter()
        .filter(|request| request.is_write())
        .map(|request| format!("{} {}", request.operation, request.path))
        .collect();
    ensure(writes.is_empty(), || format!("the second run wrote to Vault: {}", writes.join(", ")))?;
    result(&format!("(Vault's audit log has {} requests of this run, no writes)", requests.len()))
}
