//! What other commands have to be told to reach the same Vault as this run.

use serde::{Deserialize, Serialize};

use super::{Environment, Origin, Setting, VaultSettings, show};
use crate::fix::{OfBao, Program, VaultCli};

/// What a command needs beside the environment of this run to reach the same Vault in the same namespace. A token is not among
/// the variables: whoever runs the command brings one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOn {
    /// The flags that this run was given, for `vaultk8s` itself: it finds by itself what a file or the environment says.
    pub flags: Vec<String>,
    /// Vault's own CLI, which knows neither those flags nor the configuration file.
    #[serde(flatten)]
    pub cli: VaultCli,
}

/// Which of the programs that Vault's own CLI may be a shell finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Programs {
    vault: bool,
    bao: bool,
}

impl Programs {
    /// Those on the `PATH`.
    pub(super) fn on_path(environment: &Environment) -> Self {
        let folders: Vec<_> = environment.get("PATH").map(std::env::split_paths).into_iter().flatten().collect();
        let has = |program: Program| folders.iter().any(|folder| folder.join(program.name()).is_file());
        Self { vault: has(Program::Vault), bao: has(Program::Bao) }
    }

    /// The one to call: the one that is there; of both, or none, the one that the environment is written for.
    fn choose(self, for_bao: bool) -> Program {
        match (self.vault, self.bao) {
            (true, false) => Program::Vault,
            (false, true) => Program::Bao,
            _ if for_bao => Program::Bao,
            _ => Program::Vault,
        }
    }
}

impl VaultSettings {
    /// What other commands have to be told to reach the same Vault.
    pub fn hand_on(&self) -> HandOn {
        let program = self.programs.choose(self.is_for_bao());
        let told = |origin: &Origin, value: &dyn Fn() -> String| origin.told(program, value);
        let address = told(&self.address.origin, &|| show(&self.address.value).to_owned());
        let namespace = match &self.namespace {
            Some(name) => told(&name.origin, &|| name.value.clone()),
            None if self.root_by_flag => Some((true, String::new())),
            // `vault` would find the variable that OpenBao's overrides.
            None => (self.root_by_bao && program == Program::Vault).then(|| (false, String::new())),
        };
        let ca_cert = self.tls.ca_cert.as_ref();
        let ca_cert = ca_cert.and_then(|file| told(&file.origin, &|| file.value.display().to_string()));
        let mut handed = HandOn { flags: Vec::new(), cli: VaultCli::new(program) };
        let told =
            [("--address", "ADDR", address), ("--namespace", "NAMESPACE", namespace), ("--ca-cert", "CACERT", ca_cert)];
        for (flag, suffix, told) in told {
            let Some((by_flag, value)) = told else { continue };
            if by_flag {
                handed.flags.extend([flag.to_owned(), value.clone()]);
            }
            handed.cli = handed.cli.told(suffix, value);
        }
        let token = self.token.as_ref().map(|token| &token.origin);
        if matches!(token, Some(Origin::Variable(name)) if name == "BAO_TOKEN") {
            handed.cli = handed.cli.with_token_of_bao();
        }
        let of_bao = [
            (OfBao::ProxyAddr, self.proxies.origin_for_one()),
            (OfBao::TlsServerName, self.tls.server_name.as_ref().map(|name| name.origin.to_string())),
            (OfBao::SkipVerify, self.tls.skip_verify.as_ref().map(|skip| skip.origin.to_string())),
            (OfBao::CacertBytes, self.tls.ca_cert_bytes.as_ref().map(|text| text.origin.to_string())),
            (OfBao::Capath, self.tls.ca_path.as_ref().map(|folder| folder.origin.to_string())),
            (OfBao::ClientCert, self.tls.client_cert.as_ref().map(|file| file.origin.to_string())),
            (OfBao::ClientKey, self.tls.client_key.as_ref().map(|file| file.origin.to_string())),
        ];
        for (variable, origin) in of_bao {
            if origin.is_some_and(|origin| origin.strip_prefix("BAO_") == Some(variable.suffix())) {
                handed.cli = handed.cli.with_variable_of_bao(variable);
            }
        }
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
    /// A value that a program doesn't find in the environment, and whether a flag gave it. `vault` doesn't know OpenBao's variables.
    fn told(&self, program: Program, value: &dyn Fn() -> String) -> Option<(bool, String)> {
        match self {
            Self::Flag(_) => Some((true, value())),
            Self::File { .. } => Some((false, value())),
            Self::Variable(name) if program == Program::Vault && name.starts_with("BAO_") => Some((false, value())),
            _ => None,
        }
    }
}
