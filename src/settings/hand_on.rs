//! What other commands have to be told to reach the same Vault as this run.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Origin, Setting, VaultSettings, show};

/// What a command needs beside the environment of this run to reach the same Vault in the same namespace. A token is not among
/// the variables: whoever runs the command brings one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOn {
    /// The flags that this run was given, for `vaultk8s` itself: it finds by itself what a file or the environment says.
    pub flags: Vec<String>,
    /// Variables for Vault's own CLI, which knows neither those flags nor the configuration file.
    #[serde(deserialize_with = "known_variables")]
    pub variables: Vec<(String, String)>,
    /// Vault's own CLI: `bao` where the environment is written for that one (`BAO_ADDR`), which `vault` doesn't read.
    #[serde(deserialize_with = "known_program")]
    pub program: String,
}

/// Programs and variables stand in commands unquoted, so that none is taken from a file but those that this tool writes there.
const PROGRAMS: [&str; 2] = ["vault", "bao"];
const SUFFIXES: [&str; 3] = ["ADDR", "NAMESPACE", "CACERT"];

fn known_program<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let program = String::deserialize(deserializer)?;
    if PROGRAMS.contains(&program.as_str()) { Ok(program) } else { Err(D::Error::custom("no program of Vault's")) }
}

fn known_variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let variables = Vec::<(String, String)>::deserialize(deserializer)?;
    let is_known = |(name, _): &(String, String)| {
        name.split_once('_')
            .is_some_and(|(prefix, suffix)| ["VAULT", "BAO"].contains(&prefix) && SUFFIXES.contains(&suffix))
    };
    if variables.iter().all(is_known) { Ok(variables) } else { Err(D::Error::custom("a variable that isn't Vault's")) }
}

impl VaultSettings {
    /// What other commands have to be told to reach the same Vault.
    pub fn hand_on(&self) -> HandOn {
        let address = self.address.origin.told(|| show(&self.address.value).to_owned());
        let namespace = match &self.namespace {
            Some(name) => name.origin.told(|| name.value.clone()),
            None => self.root_by_flag.then(|| (true, String::new())),
        };
        let ca_cert = self.tls.ca_cert.as_ref();
        let ca_cert = ca_cert.and_then(|file| file.origin.told(|| file.value.display().to_string()));
        // Each program prefers variables of its own name.
        let (program, prefix) = if self.is_for_bao() { ("bao", "BAO") } else { ("vault", "VAULT") };
        let mut handed = HandOn { program: program.to_owned(), ..HandOn::default() };
        let told =
            [("--address", "ADDR", address), ("--namespace", "NAMESPACE", namespace), ("--ca-cert", "CACERT", ca_cert)];
        for (flag, suffix, told) in told {
            let Some((by_flag, value)) = told else { continue };
            if by_flag {
                handed.flags.extend([flag.to_owned(), value.clone()]);
            }
            handed.variables.push((format!("{prefix}_{suffix}"), value));
        }
        let token = self.token.as_ref().map(|token| &token.origin);
        if let Some(Origin::File { path, what: what @ "--token-file" }) = token {
            handed.flags.extend([(*what).to_owned(), path.display().to_string()]);
        }
        if self.allow_http {
            handed.flags.push("--allow-http".to_owned());
        }
        handed
    }

    /// Whether something of what leads to Vault is in a variable that `bao` alone reads.
    fn is_for_bao(&self) -> bool {
        let namespace = self.namespace.iter().map(|Setting { origin, .. }| origin);
        let ca_cert = self.tls.ca_cert.iter().map(|Setting { origin, .. }| origin);
        let token = self.token.iter().map(|Setting { origin, .. }| origin);
        let mut origins = std::iter::once(&self.address.origin).chain(namespace).chain(ca_cert).chain(token);
        origins.any(|origin| matches!(origin, Origin::Variable(name) if name.starts_with("BAO_")))
    }
}

impl Origin {
    /// A value that other commands don't find in the environment, and whether a flag gave it.
    fn told(&self, value: impl FnOnce() -> String) -> Option<(bool, String)> {
        match self {
            Self::Flag(_) => Some((true, value())),
            Self::File { .. } => Some((false, value())),
            _ => None,
        }
    }
}
