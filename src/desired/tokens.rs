//! What the roles of every method say about the tokens of their logins.

use crate::config::{self, TokenSettings};
use crate::model::TokenFields;

/// What a role says about the tokens of its logins.
pub(super) fn token_fields(role: &config::Role) -> TokenFields {
    let TokenSettings { ttl, max_ttl, explicit_max_ttl, period, num_uses, no_default_policy, bound_cidrs, token_type } =
        &role.token;
    TokenFields {
        token_policies: role.policies.iter().map(ToString::to_string).collect(),
        token_ttl: *ttl,
        token_max_ttl: *max_ttl,
        token_explicit_max_ttl: *explicit_max_ttl,
        token_period: *period,
        token_num_uses: *num_uses,
        token_no_default_policy: *no_default_policy,
        token_bound_cidrs: bound_cidrs.clone(),
        token_strictly_bind_ip: false,
        token_type: token_type.as_str().to_owned(),
    }
}
