//! What an operator decides about single keys: `--keep-key`, `--forget-key`.

use super::KeyId;

/// Keys by the names that the operator gives them: a `kid`, or a fingerprint as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyDecisions {
    /// Those that are the cluster's own, though nothing shows it: kept for their time.
    pub keep: Vec<String>,
    /// Those that go at once.
    pub forget: Vec<String>,
}

impl KeyDecisions {
    /// Whether this key is one of those to keep. `kid` is what it is known by.
    pub fn keeps(&self, id: &KeyId, kid: &str) -> bool {
        self.keep.iter().any(|word| is_named(word, id, kid))
    }

    /// Whether this key is one of those that go at once.
    pub fn forgets(&self, id: &KeyId, kid: &str) -> bool {
        self.forget.iter().any(|word| is_named(word, id, kid))
    }
}

/// Whether a word names a key that is known by this `kid`.
pub fn is_named(word: &str, id: &KeyId, kid: &str) -> bool {
    word == kid || word == id.base64() || word == id.fingerprint() || word == id.short()
}
