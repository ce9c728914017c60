//! A snapshot of the environment, so that nothing below depends on the process it runs in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The environment variables and the home directory, taken once when the program starts.
///
/// Everything in this crate that depends on the environment takes one of these, so a test can say exactly what it
/// sees, and a `VAULT_TOKEN` of the developer never leaks into it.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    home: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process and the home directory of its user.
    pub fn from_process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self { variables, home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()) }
    }

    /// An environment of just these variables; `HOME` among them is the home directory, else there is none.
    pub fn from_pairs<K: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables: BTreeMap<String, OsString> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let home = variables.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Self { variables, home }
    }

    /// A variable as it is, also when it is empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// A variable that has a value, as text. What isn't UTF-8 in it becomes `U+FFFD`, which no setting accepts.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
    }

    /// The variables that hold a secret for this tool: tokens of Vault, what a login presents, and what GitHub Actions gives one
    /// for. A JWT under another name may be what another program needs.
    pub fn secret_names(&self) -> Vec<String> {
        let is_secret = |(name, value): &(&str, &OsStr)| {
            let value = value.as_encoded_bytes();
            matches!(*name, "VAULT_TOKEN" | "BAO_TOKEN" | "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
                || name.starts_with("VAULTK8S_LOGIN")
                || [&b"hvs."[..], b"hvb."].iter().any(|prefix| value.starts_with(prefix))
        };
        self.variables().filter(is_secret).map(|(name, _)| name.to_owned()).collect()
    }

    /// The home directory.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// All variables, for a program that is started with them.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_os_str()))
    }

    /// The variable of Vault's CLI with this suffix (`ADDR`), and its name.
    ///
    /// As in OpenBao's CLI (`api/env.go`), `BAO_ADDR` wins over `VAULT_ADDR` when it is present, even when it is empty;
    /// an empty value is the same as none.
    pub fn vault(&self, suffix: &str) -> Option<(String, OsString)> {
        let bao = format!("BAO_{suffix}");
        let vault = format!("VAULT_{suffix}");
        let (name, value) = match self.get(&bao) {
            Some(value) => (bao, value),
            None => (vault.clone(), self.get(&vault)?),
        };
        (!value.is_empty()).then(|| (name, value.to_owned()))
    }

    /// [`Self::vault`] as text.
    pub fn vault_text(&self, suffix: &str) -> Option<(String, String)> {
        self.vault(suffix).map(|(name, value)| (name, value.to_string_lossy().into_owned()))
    }
}

impl fmt::Debug for Environment {
    /// The names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables.keys()).field("home", &self.home).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bao_variable_wins_even_when_it_is_empty() {
        let vault = |pairs: &[(&str, &str)]| Environment::from_pairs(pairs.iter().copied()).vault_text("ADDR");
        assert_eq!(vault(&[("VAULT_ADDR", "v")]), Some(("VAULT_ADDR".into(), "v".into())));
        assert_eq!(vault(&[("VAULT_ADDR", "v"), ("BAO_ADDR", "b")]), Some(("BAO_ADDR".into(), "b".into())));
        assert_eq!(vault(&[("VAULT_ADDR", "v"), ("BAO_ADDR", "")]), None);
        assert_eq!(vault(&[("VAULT_ADDR", "")]), None);
        assert_eq!(vault(&[]), None);
    }

    #[test]
    fn debug_output_holds_no_values() {
        let environment = Environment::from_pairs([("VAULT_TOKEN", "hvs.secret")]);
        assert!(!format!("{environment:?}").contains("hvs.secret"));
    }
}
