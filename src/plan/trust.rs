//! Whom a mount trusts that another configuration of it doesn't: what a plan asks about before it replaces it, and what
//! verification looks into, because a login that works says nothing of who else gets in.

use std::collections::BTreeSet;
use std::fmt;

use crate::keys::{Authorities, PublicKey};
use crate::model::{JwtConfig, KeyUrl, KeysFrom, KubernetesConfig};

/// What a mount trusts, and another configuration would not, if that is more than a rotation of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// The issuer of tokens (jwt).
    Issuer { before: String, after: String },
    /// Where the keys are from (jwt).
    KeysFrom { before: KeysFrom, after: KeysFrom },
    /// The CA of the server that the keys are fetched from, by its field (jwt).
    KeyServer { field: &'static str, before: KeyUrl, after: KeyUrl },
    /// All pinned keys, of which there are so many (jwt).
    Keys { before: usize, after: usize },
    /// The API server that is asked (kubernetes).
    Host { before: String, after: String },
    /// The issuer that is compared before it is asked (kubernetes).
    Compared { before: String, after: String },
    /// The CA that it is known by (kubernetes).
    Authorities { before: Authorities, after: Authorities },
    /// A CA beside those that it is known by, which none of them signed: whoever has its key is trusted as well (kubernetes).
    Beside { added: Authorities },
}

/// What a `jwt` mount trusts that it would not any more.
pub(crate) fn of_jwt(before: &JwtConfig, after: &JwtConfig) -> Vec<Replaced> {
    let mut replaced = Vec::new();
    if before.bound_issuer != after.bound_issuer && !before.bound_issuer.is_empty() {
        replaced.push(Replaced::Issuer { before: before.bound_issuer.clone(), after: after.bound_issuer.clone() });
    }
    let (from, to) = (before.keys_from(), after.keys_from());
    if !from.is_same_place(&to) {
        replaced.push(Replaced::KeysFrom { before: from, after: to });
        return replaced;
    }
    let field = if matches!(from, KeysFrom::Discovery(_)) { "oidc_discovery_ca_pem" } else { "jwks_ca_pem" };
    // Without one, the server trusts every authority of its system: naming one is less.
    let other = |(before, after): &(&KeyUrl, &KeyUrl)| before.ca != after.ca && !before.ca.is_empty();
    let servers = from.urls().iter().zip(to.urls()).filter(other);
    replaced.extend(servers.map(|(before, after)| {
        let (before, after) = (before.clone(), after.clone());
        Replaced::KeyServer { field, before, after }
    }));
    let keys = |config: &JwtConfig| -> BTreeSet<String> {
        let pems = config.jwt_validation_pubkeys.iter();
        pems.map(|pem| PublicKey::parse_pem(pem).map_or_else(|_| pem.clone(), |key| key.fingerprint())).collect()
    };
    let (before, after) = (keys(before), keys(after));
    if !before.is_empty() && before.is_disjoint(&after) {
        replaced.push(Replaced::Keys { before: before.len(), after: after.len() });
    }
    replaced
}

/// What a `kubernetes` mount trusts that it would not any more.
pub(crate) fn of_kubernetes(before: &KubernetesConfig, after: &KubernetesConfig) -> Vec<Replaced> {
    let mut replaced = Vec::new();
    let (host, wanted) = (&before.kubernetes_host, &after.kubernetes_host);
    if !host.is_empty() && host != wanted {
        replaced.push(Replaced::Host { before: host.clone(), after: wanted.clone() });
    }
    // An issuer counts only where it is compared.
    if !before.disable_iss_validation && !before.issuer.is_empty() && before.issuer != after.issuer {
        replaced.push(Replaced::Compared { before: before.issuer.clone(), after: after.issuer.clone() });
    }
    let authorities = |config: &KubernetesConfig| Authorities::parse(&config.kubernetes_ca_cert);
    // Without any, Vault takes those of its own pod, or of its system: others, as far as can be told.
    if let Some(before) = authorities(before) {
        let after = authorities(after).unwrap_or_default();
        let added = before.strange_among(&after);
        if !before.overlaps(&after) {
            replaced.push(Replaced::Authorities { before, after });
        } else if !added.is_empty() {
            replaced.push(Replaced::Beside { added });
        }
    }
    replaced
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer { before, after } => {
                write!(f, "it trusts the issuer {before:?} now, and would trust {after:?}")
            }
            Self::KeysFrom { before, after } => {
                write!(f, "it takes its keys from {before} now, and would from {after}")
            }
            Self::KeyServer { field, .. } => {
                write!(f, "it trusts the server of its keys by another CA ({field}) now")
            }
            Self::Keys { before, after } => {
                write!(f, "none of the {before} keys that it trusts now is among the {after} of this cluster")
            }
            Self::Host { before, after } => write!(f, "it asks the cluster at {before} now, and would ask {after}"),
            Self::Compared { before, after } => {
                let wanted = if after.is_empty() { "none".to_owned() } else { format!("{after:?}") };
                write!(f, "it compares the issuer with {before:?} now, and would with {wanted}")
            }
            Self::Authorities { before, after } => {
                let own = || vec!["of Vault's own pod or system".to_owned()];
                let after = Some(after.describe()).filter(|named| !named.is_empty()).unwrap_or_else(own).join(", ");
                let before = before.describe().join(", ");
                write!(f, "it trusts the CA {before} now, and would trust {after}")
            }
            Self::Beside { added } => {
                write!(f, "it would trust the CA {} beside those that it trusts now", added.describe().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(name: &str) -> String {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn an_authority_that_is_added_widens_whom_a_mount_trusts() {
        let (own, other) = (authority("own"), authority("other"));
        let config = |ca: &str| KubernetesConfig {
            kubernetes_host: "https://k".to_owned(),
            kubernetes_ca_cert: ca.to_owned(),
            ..KubernetesConfig::default()
        };
        let both = format!("{own}{other}");
        for (before, after, said) in [
            (&own, &own, None),
            (&both, &own, None),
            (&own, &both, Some("would trust the CA CN=other")),
            (&own, &other, Some("it trusts the CA CN=own")),
        ] {
            let replaced = of_kubernetes(&config(before), &config(after));
            let told = replaced.first().map(ToString::to_string);
            assert_eq!(told.is_some(), said.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(said.unwrap_or_default()), "{said:?}");
        }
    }
}
