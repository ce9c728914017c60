//! How a role of the configuration is tied to accounts.

use super::Role;
use crate::claims::{Tie, plain};

impl Role {
    /// How a role is tied to accounts by what it binds.
    pub(crate) fn tie(&self) -> Tie {
        if self.labelled.is_some()
            || !self.service_accounts.is_empty()
            || !self.account_patterns.is_empty()
            || self.bound_claims.is_empty()
        {
            return Tie::Named;
        }
        let audiences = self.audiences.iter().map(ToString::to_string).collect::<Vec<_>>();
        let one =
            |(claim, values): (&String, &Vec<String>)| (plain(claim).to_owned(), values.iter().cloned().collect());
        Tie::judge(&self.bound_claims.iter().map(one).collect(), self.allow_globs, &audiences)
    }
}
