//! Where the operator's token comes from.
//!
//! In this order: `--token-file`, `BAO_TOKEN` or `VAULT_TOKEN`, the token helper that the CLI's configuration names,
//! the file that `vault login` writes. Sources: OpenBao's `internal/command/config` and `internal/command/token`, Vault's
//! `api/cliconfig` and `api/tokenhelper`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Environment, Origin, Setting, secret};
use crate::error::{Error, Result};
use crate::fix::either_shows;
use crate::hcl::{self, Item, Node};
use crate::input;

/// What is looked for, in errors.
const WHAT: &str = "token";

/// Finds the token. `address` is told to the token helper, which may keep one token for each server.
pub(super) fn find(
    flag: Option<&Path>,
    environment: &Environment,
    address: &str,
) -> Result<Option<Setting<SecretString>>> {
    if let Some(path) = flag {
        let (text, origin) = secret::read(path, WHAT, "--token-file")?;
        return match secret::clean(&text, WHAT, &origin)? {
            Some(value) => Ok(Some(Setting { value, origin })),
            None => Err(empty(&origin)),
        };
    }
    if let Some((name, value)) = environment.vault_text("TOKEN") {
        let origin = Origin::Variable(name);
        return match secret::clean(&value, WHAT, &origin)? {
            Some(value) => Ok(Some(Setting { value, origin })),
            None => Err(empty(&origin)),
        };
    }
    if let Some(helper) = helper_of(environment)? {
        return from_helper(&helper, environment, address);
    }
    from_login_file(environment)
}

/// The file that `vault login` and `bao login` write: `VAULT_TOKEN_PATH` (OpenBao), else `~/.vault-token`.
fn from_login_file(environment: &Environment) -> Result<Option<Setting<SecretString>>> {
    let (path, origin) = if let Some((_, path)) = environment.vault("TOKEN_PATH") {
        let path = PathBuf::from(path);
        (path.clone(), Origin::File { path, what: "token" })
    } else if let Some(home) = environment.home() {
        (home.join(".vault-token"), Origin::Home(".vault-token"))
    } else {
        return Ok(None);
    };
    let text = match secret::read_file(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => {
            return Err(Error::usage(format!("the token in {origin} could not be read"))
                .because(cause)
                .remedy(format!("set VAULT_TOKEN, or log in again with {}", either_shows("login"))));
        }
    };
    Ok(secret::clean(&text, WHAT, &origin)?.map(|value| Setting { value, origin }))
}

/// The token helper that the CLI's configuration names.
fn helper_of(environment: &Environment) -> Result<Option<PathBuf>> {
    if let Some((name, path)) = environment.vault("CONFIG_PATH") {
        return helper_in(&PathBuf::from(path), &name);
    }
    let Some(home) = environment.home() else { return Ok(None) };
    // OpenBao reads ~/.bao, Vault reads ~/.vault; who has both has BAO_ variables too, and those win.
    for (name, shown) in [(".bao", "~/.bao"), (".vault", "~/.vault")] {
        if let Some(helper) = helper_in(&home.join(name), shown)? {
            return Ok(Some(helper));
        }
    }
    Ok(None)
}

fn helper_in(path: &Path, shown: &str) -> Result<Option<PathBuf>> {
    let text = match input::read_text(path, input::CLI_SETTINGS) {
        Ok(text) => text,
        Err(cause) if matches!(cause.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory) => {
            return Ok(None);
        }
        Err(cause) => {
            return Err(Error::usage(format!("{shown}, the configuration of Vault's CLI, could not be read"))
                .because(cause)
                .remedy("set VAULT_TOKEN, or VAULT_CONFIG_PATH to the right file"));
        }
    };
    // The reader's own words are not passed on: they quote the file, and Ansible Vault is known to keep a password under the same name.
    let Ok(items) = hcl::parse(&text) else {
        return Err(Error::usage(format!("{shown} is not the configuration of Vault's CLI, though it has its name"))
            .remedy(
                "set VAULT_TOKEN, or VAULT_CONFIG_PATH to the right file; Ansible Vault is known to use the same name",
            ));
    };
    // Written twice, the last counts.
    let helper = match items.iter().rfind(|item| item.keys.first().is_some_and(|key| key == "token_helper")) {
        None => return Ok(None),
        Some(Item { keys, value: Node::String(helper) }) if keys.len() == 1 => match helper.as_str() {
            "" => return Ok(None),
            helper => PathBuf::from(helper),
        },
        Some(_) => {
            return Err(Error::usage(format!("token_helper in {shown} is not a string"))
                .remedy("give it the absolute path of the helper"));
        }
    };
    if !helper.is_absolute() {
        return Err(Error::usage(format!("token_helper in {shown} is not an absolute path: {}", helper.display()))
            .remedy("write the whole path of the helper, so that no other program of that name is run"));
    }
    Ok(Some(helper))
}

/// Runs the helper with `get`. One that prints nothing has no token, and the login file is not asked then.
fn from_helper(helper: &Path, environment: &Environment, address: &str) -> Result<Option<Setting<SecretString>>> {
    let failed = |what: String| {
        Error::failed(format!("the token helper {} {what}", helper.display()))
            .remedy(format!("try it: `{} get`; or set VAULT_TOKEN", helper.display()))
    };
    let mut child = Command::new(helper)
        .arg("get")
        .env_clear()
        .envs(environment.variables())
        .env("VAULT_ADDR", address)
        .env("BAO_ADDR", address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|cause| failed("could not be started".to_owned()).because(cause))?;
    // What it says beside the token is read at the same time, so that neither pipe fills up, and no further than it is shown.
    let complaint = child.stderr.take().map(|stderr| std::thread::spawn(move || beginning(stderr)));
    let read = child.stdout.take().map_or_else(|| Ok(Zeroizing::default()), |out| input::read_from(out, input::SECRET));
    if read.is_err() {
        // It may go on for ever.
        drop(child.kill());
    }
    let status = child.wait().map_err(|cause| failed("could not be waited for".to_owned()).because(cause))?;
    let stdout = read.map_err(|cause| failed("gave no token".to_owned()).because(cause))?;
    let complaint = complaint.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if !status.success() {
        let said: String = String::from_utf8_lossy(&complaint)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(300)
            .collect();
        return Err(failed(format!("failed ({status}): {}", said.trim())));
    }
    let origin = Origin::Helper(helper.to_owned());
    let text = Zeroizing::new(String::from_utf8_lossy(&stdout).into_owned());
    Ok(secret::clean(&text, WHAT, &origin)?.map(|value| Setting { value, origin }))
}

/// The beginning of what is said; the rest is passed over.
fn beginning(mut from: impl Read) -> Vec<u8> {
    let mut said = Vec::new();
    let read = from.by_ref().take(4096).read_to_end(&mut said);
    drop(read.and_then(|_| std::io::copy(&mut from, &mut std::io::sink())));
    said
}

fn empty(origin: &Origin) -> Error {
    Error::usage(format!("there is no token in {origin}: it is empty"))
        .remedy(format!("log in with {}, or set VAULT_TOKEN", either_shows("login")))
}
