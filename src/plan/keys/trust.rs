//! What a mount trusts now and would not any more, if that is more than a rotation of keys.

use std::collections::BTreeSet;

use super::ForeignKey;
use crate::keys::PublicKey;
use crate::vault::JwtConfig;

/// Whether the configuration that is there is another trust altogether.
pub(super) fn replaced(before: &JwtConfig, after: &JwtConfig) -> Option<String> {
    if before.bound_issuer != after.bound_issuer && !before.bound_issuer.is_empty() {
        return Some(format!(
            "it trusts the issuer {:?} now, and would trust {:?}",
            before.bound_issuer, after.bound_issuer
        ));
    }
    if source(before) != source(after) {
        return Some(format!("it takes its keys from {} now, and would from {}", source(before), source(after)));
    }
    for (field, before, after) in [
        ("jwks_ca_pem", &before.jwks_ca_pem, &after.jwks_ca_pem),
        ("oidc_discovery_ca_pem", &before.oidc_discovery_ca_pem, &after.oidc_discovery_ca_pem),
    ] {
        // Without one, the server trusts every authority of its system: naming one is less.
        if before != after && !before.is_empty() {
            return Some(format!("it trusts the server of its keys by another CA ({field}) now"));
        }
    }
    let keys = |config: &JwtConfig| -> BTreeSet<String> {
        let pems = config.jwt_validation_pubkeys.iter();
        pems.map(|pem| PublicKey::parse_pem(pem).map_or_else(|_| pem.clone(), |key| key.fingerprint())).collect()
    };
    let (before, after) = (keys(before), keys(after));
    (!before.is_empty() && before.is_disjoint(&after)).then(|| {
        format!("none of the {} keys that it trusts now is among the {} of this cluster", before.len(), after.len())
    })
}

/// The keys that nobody published, in words.
pub(super) fn foreign(keys: &[ForeignKey]) -> Option<String> {
    let name = |ForeignKey { key, kid, .. }: &ForeignKey| match kid {
        Some(kid) => format!("{key} kid {kid}"),
        None => key.clone(),
    };
    let names: Vec<String> = keys.iter().map(name).collect();
    match names.as_slice() {
        [] => None,
        [one] => {
            Some(format!("it trusts a key that this cluster doesn't publish and was never seen to publish: {one}"))
        }
        many => Some(format!(
            "it trusts {} keys that this cluster doesn't publish and was never seen to publish: {}",
            many.len(),
            many.join(", ")
        )),
    }
}

/// Where a mount takes its keys from, in words.
fn source(config: &JwtConfig) -> String {
    if !config.jwks_url.is_empty() {
        format!("jwks_url {}", config.jwks_url)
    } else if !config.oidc_discovery_url.is_empty() {
        format!("oidc_discovery_url {}", config.oidc_discovery_url)
    } else if !config.jwks_pairs.is_empty() {
        format!("{} jwks_pairs", config.jwks_pairs.len())
    } else {
        "pinned ones".to_owned()
    }
}
