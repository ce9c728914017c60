//! What other commands have to be told to reach the same Vault as this run.

use super::{Origin, Setting, VaultSettings, show};

/// What a command needs beside the environment of this run to reach the same Vault in the same namespace. A token is not among
/// the variables: whoever runs the command brings one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandOn {
    /// The flags that this run was given, for `vaultk8s` itself: it finds by itself what a file or the environment says.
    pub flags: Vec<String>,
    /// Variables for Vault's own CLI, which knows neither those flags nor the configuration file.
    pub variables: Vec<(&'static str, String)>,
    /// Vault's own CLI: `bao` where the environment is written for that one (`BAO_ADDR`), which `vault` doesn't read.
    pub program: &'static str,
}

impl VaultSettings {
    /// What other commands have to be told to reach the same Vault.
    pub fn hand_on(&self) -> HandOn {
        let address = self.address.origin.told(|| show(&self.address.value).to_owned());
        let namespace = self.namespace.as_ref().and_then(|name| name.origin.told(|| name.value.clone()));
        let ca_cert = self.tls.ca_cert.as_ref();
        let ca_cert = ca_cert.and_then(|file| file.origin.told(|| file.value.display().to_string()));
        let mut handed = HandOn { program: self.program(), ..HandOn::default() };
        let told = [
            ("--address", "VAULT_ADDR", address),
            ("--namespace", "VAULT_NAMESPACE", namespace),
            ("--ca-cert", "VAULT_CACERT", ca_cert),
        ];
        for (flag, variable, told) in told {
            let Some((by_flag, value)) = told else { continue };
            if by_flag {
                handed.flags.extend([flag.to_owned(), value.clone()]);
            }
            handed.variables.push((variable, value));
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

    fn program(&self) -> &'static str {
        let address = &self.address.origin;
        let namespace = self.namespace.iter().map(|Setting { origin, .. }| origin);
        let ca_cert = self.tls.ca_cert.iter().map(|Setting { origin, .. }| origin);
        let bao = |origin: &Origin| matches!(origin, Origin::Variable(name) if name.starts_with("BAO_"));
        if std::iter::once(address).chain(namespace).chain(ca_cert).any(bao) { "bao" } else { "vault" }
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
