//! Vault's ACL policies: written, read, compared by meaning, and evaluated as the server does.
//!
//! Policies come as text, and the server keeps that text byte for byte, so two policies that say the same
//! may look different. This module reads a text into a [`Policy`], where what says the same is equal
//! ([`same_meaning`]), writes one in a canonical form ([`Policy::print`]), and answers what a token with some
//! policies may do at a path ([`Acl::capabilities`]). It does no I/O.
//!
//! Policies are HCL 1, which differs from HCL 2 in strings, comments and duplicate keys, so the reader in
//! `crate::hcl` follows the server's own (`hashicorp/hcl` 1.0.1-vault-7) rather than an HCL 2 parser: a text
//! read otherwise than the server reads it would make the wrong plan look right. The rules of evaluation are those
//! of `policy.go` and `acl.go`, which OpenBao keeps in `internal/vault/policy/` and Vault in `vault/`.

mod accessor;
mod acl;
mod alias;
mod ascent;
mod capability;
mod decode;
mod path;
mod pattern;
mod places;
mod print;
mod restriction;
mod rule;
mod stand_in;
mod stock;
mod template;

pub use accessor::{accessor_symbol, accessors_in, with_accessors};
pub use acl::{Acl, SlashOrder, Verdict};
pub use alias::{KUBERNETES_METADATA, OfAlias, of_aliases};
pub use ascent::{Ascent, Deed, Ladder, ascents, narrowed};
pub use capability::{Capability, UnknownCapability};
pub use decode::PolicyParseError;
pub use path::{PolicyPath, PolicyPathError};
pub use pattern::Pattern;
pub use places::Places;
pub use print::rule_on_a_line;
pub use rule::Rule;
pub use stand_in::{SEGMENT, stand_in};
pub use stock::{may_be_stock, stock_default};
pub use template::Identity;

use serde::{Deserialize, Serialize};

/// The meaning of an ACL policy: its rules, sorted and merged as the server merges them.
///
/// Two policies are equal when the server can't tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Policy {
    /// A policy of these rules, in any order. Rules for one path are merged as `NewACL` in `acl.go` does: their
    /// capabilities add up, and `deny` leaves nothing but itself.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<Rule> = rules.into_iter().map(Rule::normalised).collect();
        // Stable: where the first of several rules wins (a control group), it must stay the first.
        rules.sort_by(|a, b| a.path.cmp(&b.path));
        let merged = rules.chunk_by(|a, b| a.path == b.path).flat_map(rule::merged).collect();
        Self { rules: merged }
    }

    /// Reads a policy as the server would: HCL 1, or JSON when it begins with `{`.
    ///
    /// # Errors
    /// When the text isn't understood. That includes texts which a server accepts: it may know fields that this
    /// reader doesn't, so an error here means "not understood", not "invalid".
    pub fn parse(text: &str) -> Result<Self, PolicyParseError> {
        decode::policy(&crate::hcl::parse(text)?)
    }

    /// The policy as it is for a login with this identity: its templates filled in, as far as they are known.
    #[must_use]
    pub fn filled(&self, identity: &Identity) -> Self {
        let filled = |rule: &Rule| match identity.fill(&rule.path) {
            Some(path) => Rule { path, ..rule.clone() },
            None => rule.clone(),
        };
        Self::new(self.rules.iter().map(filled))
    }

    /// Its rules, by path.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Whether a server would treat the two policies alike.
///
/// Order, comments, spelling and repetition don't count. A control group, an expiration and the other fields that
/// can't be merged are compared as they are written, so the answer may be a careful `false`, never a wrong `true`.
pub fn same_meaning(one: &Policy, other: &Policy) -> bool {
    one == other
}

#[cfg(test)]
mod tests;
