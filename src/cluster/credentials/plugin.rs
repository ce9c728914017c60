//! The program that a kubeconfig names for its credentials, run as kubectl runs it, but within bounds, and without what it has no
//! use for.

use std::io::{self, ErrorKind, IsTerminal as _};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::fault::CredentialFault;
use super::identity::Identity;
use crate::input;

mod words;

/// How long it may take.
const TIME: Duration = Duration::from_secs(60);

/// How long it may take where a person is asked: a browser may have to be opened, and a code typed.
const TIME_WITH_A_PERSON: Duration = Duration::from_secs(5 * 60);

/// Who asks the person at the terminal: one at a time, however many clusters are opened at once.
static AT_TERMINAL: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How long what it said of its end may take to arrive after it.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The versions of what it prints that kubectl knows.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// The program, and what it gave.
pub(super) struct Plugin {
    exec: ExecConfig,
    withheld: Vec<String>,
    given: tokio::sync::Mutex<Given>,
    identity: OnceLock<Arc<Identity>>,
}

/// What it gave.
struct Given {
    token: Option<SecretString>,
    identity: Option<Identity>,
    ends: Option<Timestamp>,
}

/// What kubectl refuses of an `exec` before it runs anything.
pub(super) fn check(exec: &ExecConfig) -> Result<(), CredentialFault> {
    let refused = |said: String| Err(CredentialFault::written(said));
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    if empty(&exec.command) {
        return refused("its credential plugin has no `command`".to_owned());
    }
    if empty(&exec.api_version) {
        return refused("its credential plugin has no `apiVersion`".to_owned());
    }
    let version = exec.api_version.as_deref().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        let said = format!("its credential plugin has the `apiVersion` {version}, which is unknown to kubectl");
        return Err(CredentialFault::written(said).remedy(format!(
            "have the kubeconfig written anew by a version of {} that knows {}",
            exec.command.as_deref().unwrap_or_default(),
            VERSIONS[0]
        )));
    }
    if exec.interactive_mode.is_none() && version == VERSIONS[0] {
        return refused("its credential plugin has no `interactiveMode`: Never, IfAvailable or Always".to_owned());
    }
    let has_name = |variable: &std::collections::HashMap<String, String>| {
        variable.get("name").is_some_and(|name| !name.is_empty())
    };
    if !exec.env.iter().flatten().all(has_name) {
        return refused("a variable in the `env` of its credential plugin has no name".to_owned());
    }
    Ok(())
}

impl Plugin {
    /// Runs it for the first time. Variables of the names that are withheld are not for it.
    pub(super) async fn start(exec: ExecConfig, withheld: &[String]) -> Result<Self, CredentialFault> {
        // What the kubeconfig itself gives it is meant.
        let is_given = |name: &String| exec.env.iter().flatten().any(|variable| variable.get("name") == Some(name));
        let withheld: Vec<String> = withheld.iter().filter(|name| !is_given(name)).cloned().collect();
        let mut given = run(&exec, &withheld, &Bounds::of(&exec)?).await?;
        let identity = OnceLock::new();
        if let Some(first) = given.identity.take() {
            let _first = identity.set(Arc::new(first));
        }
        Ok(Self { exec, withheld, given: given.into(), identity })
    }

    /// The certificate that it gave.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.get().cloned()
    }

    /// The token that it gave, or gives where that has ended.
    pub(super) async fn token(&self) -> Result<Option<SecretString>, CredentialFault> {
        let mut given = self.given.lock().await;
        if given.ends.is_some_and(|end| Timestamp::now() > end) {
            let mut next = run(&self.exec, &self.withheld, &Bounds::of(&self.exec)?).await?;
            if let (Some(shown), Some(next)) = (self.identity.get(), next.identity.take()) {
                shown.replace(&next);
            }
            *given = next;
        }
        Ok(given.token.clone())
    }
}

/// How it is run.
struct Bounds {
    /// It may ask the person at the terminal.
    is_interactive: bool,
    time: Duration,
}

impl Bounds {
    fn of(exec: &ExecConfig) -> Result<Self, CredentialFault> {
        let has_terminal = io::stdin().is_terminal();
        let is_interactive = match exec.interactive_mode {
            Some(ExecInteractiveMode::Never) => false,
            Some(ExecInteractiveMode::Always) if !has_terminal => {
                return Err(CredentialFault::of_plugin(format!(
                    "its credential plugin {} asks the person at the terminal (`interactiveMode: Always`), and there is none",
                    name(exec)
                ))
                .remedy("run this at a terminal, or name a kubeconfig whose plugin needs none"));
            }
            Some(ExecInteractiveMode::Always) => true,
            Some(ExecInteractiveMode::IfAvailable) | None => has_terminal,
        };
        Ok(Self { is_interactive, time: if is_interactive { TIME_WITH_A_PERSON } else { TIME } })
    }
}

/// What it is told, and what it prints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    kind: Option<String>,
    api_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    spec: Option<Spec>,
    #[serde(skip_serializing)]
    status: Option<Status>,
}

#[derive(Serialize, Default)]
struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<ExecAuthCluster>,
    interactive: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

fn name(exec: &ExecConfig) -> &str {
    exec.command.as_deref().unwrap_or_default()
}

async fn run(exec: &ExecConfig, withheld: &[String], bounds: &Bounds) -> Result<Given, CredentialFault> {
    let mut command = Command::new(name(exec));
    command.args(exec.args.iter().flatten());
    let pairs = exec.env.iter().flatten();
    command.envs(
        pairs.filter_map(|variable| Some((variable.get("name")?, variable.get("value").map_or("", String::as_str)))),
    );
    for name in withheld {
        command.env_remove(name);
    }
    let cluster = exec.cluster.clone().filter(|_| exec.provide_cluster_info);
    let told = ExecCredential {
        kind: Some("ExecCredential".to_owned()),
        api_version: exec.api_version.clone(),
        spec: Some(Spec { cluster, interactive: bounds.is_interactive }),
        status: None,
    };
    let told = serde_json::to_string(&told)
        .map_err(|_| CredentialFault::written("its credential plugin can't be told of its cluster"))?;
    command.env("KUBERNETES_EXEC_INFO", told).stdout(Stdio::piped()).kill_on_drop(true);
    if bounds.is_interactive {
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    } else {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
    }
    let _alone = if bounds.is_interactive { Some(AT_TERMINAL.lock().await) } else { None };
    let (status, printed, said) =
        tokio::time::timeout(bounds.time, finished(exec, command)).await.unwrap_or_else(|_| {
            Err(CredentialFault::of_plugin(format!(
                "its credential plugin {} does not end within {} s",
                name(exec),
                bounds.time.as_secs()
            ))
            .remedy("run it by itself to see what it waits for"))
        })?;
    if !status.success() {
        return Err(failed(exec, status, &words::own(exec, &said)));
    }
    read(exec, &printed)
}

/// Runs it to its end.
async fn finished(
    exec: &ExecConfig,
    mut command: Command,
) -> Result<(ExitStatus, Zeroizing<Vec<u8>>, Vec<u8>), CredentialFault> {
    let broken = |error: io::Error| {
        CredentialFault::of_plugin(format!("its credential plugin {} can't be heard: {error}", name(exec)))
    };
    let mut child = command.spawn().map_err(|error| unstarted(exec, &error))?;
    let said = child.stderr.take().map(|stderr| tokio::spawn(words::last(stderr)));
    let printed = match child.stdout.take() {
        Some(stdout) => output(stdout).await.map_err(broken)?,
        None => Zeroizing::default(),
    };
    let status = child.wait().await.map_err(broken)?;
    // Something that it left behind may hold the other end.
    let said = match said {
        Some(said) => tokio::time::timeout(LAST_WORDS, said).await.ok().and_then(Result::ok).unwrap_or_default(),
        None => Vec::new(),
    };
    Ok((status, printed, said))
}

/// What it prints: credentials, and not without end.
async fn output(stdout: impl AsyncRead + Unpin) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = input::CREDENTIALS;
    let mut printed = Zeroizing::new(Vec::new());
    stdout.take(limit.bytes as u64 + 1).read_to_end(&mut printed).await?;
    if printed.len() > limit.bytes { Err(limit.exceeded()) } else { Ok(printed) }
}

fn unstarted(exec: &ExecConfig, error: &io::Error) -> CredentialFault {
    let name = name(exec);
    let fault = match error.kind() {
        ErrorKind::NotFound => CredentialFault::of_plugin(format!("its credential plugin {name} is not installed")),
        _ => CredentialFault::of_plugin(format!("its credential plugin {name} could not be started: {error}")),
    };
    match exec.install_hint.as_ref().map(|hint| hint.trim()).filter(|hint| !hint.is_empty()) {
        Some(hint) => fault.remedy(format!("the kubeconfig says: {}", words::of_hint(hint))),
        None => fault.remedy(format!("install {name}, or have the kubeconfig name another")),
    }
}

fn failed(exec: &ExecConfig, status: ExitStatus, said: &str) -> CredentialFault {
    let mut sentence = format!("its credential plugin {} failed ({status})", name(exec));
    if !said.is_empty() {
        sentence = format!("{sentence}: {said}");
    }
    CredentialFault::of_plugin(sentence).remedy("do what it says; run by itself, it may say more")
}

/// What it printed.
fn read(exec: &ExecConfig, printed: &[u8]) -> Result<Given, CredentialFault> {
    let name = name(exec);
    let refused = |said: &str| Err(CredentialFault::of_plugin(format!("its credential plugin {name} {said}")));
    // As to kubectl, YAML is as good.
    let credential = serde_json::from_slice::<ExecCredential>(printed).ok();
    let Some(credential) = credential.or_else(|| serde_saphyr::from_slice(printed).ok()) else {
        return refused("did not print an ExecCredential");
    };
    if credential.kind.as_deref() != Some("ExecCredential") {
        return refused("did not print an ExecCredential");
    }
    if credential.api_version != exec.api_version {
        let version = credential.api_version.filter(|version| VERSIONS.contains(&version.as_str()));
        let version = version.as_deref().unwrap_or("of another version");
        let wanted = exec.api_version.as_deref().unwrap_or_default();
        return refused(&format!("printed an ExecCredential {version}, and the kubeconfig says {wanted}"));
    }
    let Some(status) = credential.status else { return refused("printed an ExecCredential without a `status`") };
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let token = some(status.token).map(SecretString::from);
    let identity = match (some(status.client_certificate_data), some(status.client_key_data).map(Zeroizing::new)) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::of(certificate.as_bytes(), key.as_bytes());
            Some(identity.map_err(|fault| {
                CredentialFault::of_plugin(format!("what its credential plugin {name} gave can't be used: {fault}"))
            })?)
        }
        (None, None) => None,
        _ => return refused("gave a client certificate without its key, or a key without its certificate"),
    };
    if token.is_none() && identity.is_none() {
        return refused("gave neither a token nor a client certificate");
    }
    let ends = match some(status.expiration_timestamp).map(|end| end.parse()) {
        Some(Ok(end)) => Some(end),
        Some(Err(_)) => return refused("gave an `expirationTimestamp` that is no time"),
        None => None,
    };
    Ok(Given { token, identity, ends })
}

#[cfg(test)]
mod tests;
