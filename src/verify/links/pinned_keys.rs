//! The keys that a `jwt` mount has itself.

use crate::keys::PublicKey;
use crate::model::JwtConfig;

/// What is pinned and can't be read.
pub(super) const NO_KEY: &str = "an element that is no key";

/// Whether Vault has the keys itself, and fetches none.
pub(super) fn pinned(config: &JwtConfig) -> bool {
    config.keys_from().is_pinned()
}

/// The keys that are pinned; nothing for an element that is no key.
pub(super) fn pinned_keys(config: &JwtConfig) -> Vec<Option<PublicKey>> {
    config.jwt_validation_pubkeys.iter().map(|element| PublicKey::parse_pem(element).ok()).collect()
}
