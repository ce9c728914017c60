//! Vault's own CLI: `vault` or `bao`, whichever the shell has, told what leads to this Vault.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::Command;
use crate::text::shell::quoted;

/// A program that Vault's own CLI may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// HashiCorp's.
    #[default]
    Vault,
    /// OpenBao's, which reads Vault's variables as well as its own.
    Bao,
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Bao => "bao",
        }
    }

    /// What its own variables begin with, which it prefers.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Vault => "VAULT",
            Self::Bao => "BAO",
        }
    }
}

/// Vault's own CLI, and the variables by which it reaches this Vault beside the shell's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultCli {
    #[serde(deserialize_with = "known_variables")]
    variables: Vec<(String, String)>,
    program: Program,
    /// Whether the token is in a variable of OpenBao's, which this program doesn't read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    bao_token: bool,
    /// What else is in variables of OpenBao's: what they hold may be a secret, and the shell has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    of_bao: Vec<OfBao>,
}

/// A variable of OpenBao's program that HashiCorp's reads under its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OfBao {
    /// `BAO_PROXY_ADDR`, which may hold a password.
    ProxyAddr,
    /// `BAO_TLS_SERVER_NAME`.
    TlsServerName,
    /// `BAO_SKIP_VERIFY`.
    SkipVerify,
    /// `BAO_CACERT_BYTES`.
    CacertBytes,
    /// `BAO_CAPATH`.
    Capath,
    /// `BAO_CLIENT_CERT`.
    ClientCert,
    /// `BAO_CLIENT_KEY`.
    ClientKey,
}

impl OfBao {
    /// What the name of the variable ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::ProxyAddr => "PROXY_ADDR",
            Self::TlsServerName => "TLS_SERVER_NAME",
            Self::SkipVerify => "SKIP_VERIFY",
            Self::CacertBytes => "CACERT_BYTES",
            Self::Capath => "CAPATH",
            Self::ClientCert => "CLIENT_CERT",
            Self::ClientKey => "CLIENT_KEY",
        }
    }
}

/// Names of variables stand in commands unquoted, so that none is taken from a file but those that this tool writes there.
const SUFFIXES: [&str; 3] = ["ADDR", "NAMESPACE", "CACERT"];

fn known_variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let variables = Vec::<(String, String)>::deserialize(deserializer)?;
    let is_known = |(name, _): &(String, String)| {
        name.split_once('_')
            .is_some_and(|(prefix, suffix)| ["VAULT", "BAO"].contains(&prefix) && SUFFIXES.contains(&suffix))
    };
    if variables.iter().all(is_known) { Ok(variables) } else { Err(D::Error::custom("a variable that isn't Vault's")) }
}

impl VaultCli {
    /// This program, told nothing.
    pub fn new(program: Program) -> Self {
        Self { variables: Vec::new(), program, bao_token: false, of_bao: Vec::new() }
    }

    /// With the token that the shell has for OpenBao's program.
    #[must_use]
    pub fn with_token_of_bao(self) -> Self {
        Self { bao_token: self.program == Program::Vault, ..self }
    }

    /// With what the shell has in a variable of OpenBao's program.
    #[must_use]
    pub fn with_variable_of_bao(mut self, variable: OfBao) -> Self {
        if self.program == Program::Vault {
            self.of_bao.push(variable);
        }
        self
    }

    /// With a value that the shell doesn't tell it: `ADDR`, `NAMESPACE` or `CACERT`.
    #[must_use]
    pub fn told(mut self, suffix: &str, value: String) -> Self {
        self.variables.push((format!("{}_{suffix}", self.program.prefix()), value));
        self
    }

    /// The same for another namespace than the shell's; empty for the root.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        let mut other = self.clone();
        other.variables.retain(|(name, _)| !name.ends_with("_NAMESPACE"));
        other.told("NAMESPACE", namespace.to_owned())
    }

    /// Whether it is what a shell would call by itself.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// A command of it: `policy read`.
    pub fn run(&self, words: &'static str) -> Command {
        let told = self.variables.iter().map(|(name, value)| format!("{name}={} ", quoted(value)));
        let token = self.bao_token.then(|| "VAULT_TOKEN=\"$BAO_TOKEN\" ".to_owned());
        let of_bao = self.of_bao.iter().map(|variable| variable.suffix());
        let of_bao = of_bao.map(|suffix| format!("VAULT_{suffix}=\"$BAO_{suffix}\" "));
        Command::of(told.chain(token).chain(of_bao).collect::<String>() + self.program.name()).fixed(words)
    }

    /// Reads what is at a path.
    pub fn read(&self, path: &str) -> Command {
        self.run("read").name(path)
    }

    /// Writes fields to a path.
    pub fn write(&self, path: &str) -> Command {
        self.run("write").name(path)
    }

    /// Writes what it reads as JSON to a path.
    pub fn write_json(&self, path: &str, body: &str) -> Command {
        Command::text(body).pipe(&self.write(path).fixed("-"))
    }

    /// Writes rules as a policy.
    pub fn write_policy(&self, name: &str, rules: &[String]) -> Command {
        Command::lines(&rules.join("\n")).pipe(&self.run("policy write").name(name).fixed("-"))
    }

    /// Adds rules to a policy, and leaves what is in it.
    pub fn add_to_policy(&self, name: &str, rules: &[String]) -> Command {
        let read = self.run("policy read").name(name);
        let write = self.run("policy write").name(name).fixed("-");
        Command::kept_as("p", &read).then(&Command::kept("p").arg(&rules.join("\n")).pipe(&write))
    }

    /// Writes fields to a path, of which one is what the path has now, however long that is, and another what is piped into it.
    pub fn rewrite(&self, path: &str, field: &'static str, piped: Command, write: Command) -> Command {
        let read = self.run("read").flag("-field=", field).name(path);
        Command::kept_as("kept", &read).then(&piped.hand_over(&write.kept_field(field, "kept")))
    }
}

/// What a command of Vault's CLI shows, where nobody knows which Vault is meant, nor which program is there.
pub fn either_shows(words: &'static str) -> String {
    let [vault, bao] = [Program::Vault, Program::Bao].map(|program| VaultCli::new(program).run(words).shown());
    format!("{vault} (or {bao})")
}
