//! What a role says about the token that a login gives, and about clocks.

use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::{Leeways, TokenSettings, TokenType};
use crate::names::cidr;

/// Reads the settings of the token; what the server would refuse is refused here, with its reason.
pub(super) fn token_settings(entry: &Entry, problems: &mut Problems) -> TokenSettings {
    let token_type = match entry.text("tokenType").map(|word| word.value.as_str()) {
        Some("service") => TokenType::Service,
        Some("batch") => TokenType::Batch,
        _ => TokenType::Default,
    };
    let settings = TokenSettings {
        ttl: entry.count("ttl"),
        max_ttl: entry.count("maxTtl"),
        explicit_max_ttl: entry.count("explicitMaxTtl"),
        period: entry.count("period"),
        num_uses: entry.count("numUses"),
        no_default_policy: entry.is_set("noDefaultPolicy"),
        bound_cidrs: bound_cidrs(entry.texts("boundCidrs"), problems),
        token_type,
    };
    let place = |field| entry.key(field).unwrap_or(entry.at);
    if settings.token_type == TokenType::Batch {
        for (field, value, what) in [
            ("period", settings.period, "can't be renewed, so it has no period"),
            ("numUses", settings.num_uses, "is not stored, so its uses can't be counted"),
        ] {
            if value > 0 {
                problems.add(
                    place(field),
                    format!("a batch token {what}"),
                    format!("remove `{field}`, or write `tokenType: service`"),
                );
            }
        }
    }
    if settings.max_ttl > 0 && settings.ttl > settings.max_ttl {
        problems.add(
            place("ttl"),
            format!("`ttl` ({} s) is longer than `maxTtl` ({} s)", settings.ttl, settings.max_ttl),
            "make `ttl` the shorter of the two",
        );
    }
    settings
}

/// Reads the leeways.
pub(super) fn leeways(entry: &Entry, problems: &mut Problems) -> Leeways {
    let mut leeway = |field| {
        let number = entry.number(field)?;
        if number.value == 0 {
            problems.warn(
                number.at,
                format!("`{field}: 0` is the server's default leeway, not none"),
                "write -1 for none, or remove the line for the default",
            );
        }
        Some(number.value)
    };
    Leeways {
        expiration: leeway("expirationLeeway"),
        not_before: leeway("notBeforeLeeway"),
        clock_skew: leeway("clockSkewLeeway"),
    }
}

fn bound_cidrs(list: Option<&Vec<Located<String>>>, problems: &mut Problems) -> Vec<String> {
    let mut cidrs = Vec::new();
    for bound in list.into_iter().flatten() {
        if cidr::is_beyond_mapped(&bound.value) {
            problems.add(
                bound.at,
                format!(
                    "{:?} begins among the IPv4 addresses and ends beyond them, and Vault would make a single address of it",
                    bound.value
                ),
                "write the IPv4 network itself, such as `10.0.0.0/8`; `0.0.0.0/0` is all of them",
            );
        } else if cidr::parse(&bound.value).is_some() {
            cidrs.push(bound.value.clone());
        } else {
            problems.add(
                bound.at,
                format!("{:?} is not an IP address or network", bound.value),
                "write an address such as `192.0.2.7`, or a network such as `192.0.2.0/24` or `2001:db8::/32`",
            );
        }
    }
    cidrs
}
