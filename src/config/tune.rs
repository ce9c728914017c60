//! `auth.tune`: the settings of a mount, and what of them can't be meant.

use super::diagnostic::Problems;
use super::entry::Entry;
use super::suggest::listed;
use super::{Cluster, Tune, written_duration};
use crate::model::{TokenKind, token_kind};

/// The fields of requests to a mount that are secrets.
pub(crate) const SECRET_KEYS: [&str; 3] = ["jwt", "token_reviewer_jwt", "oidc_client_secret"];

/// Reads the settings; what the server would refuse is refused here, with its reason.
pub(super) fn tune(auth: &Entry, problems: &mut Problems) -> Tune {
    let Some(entry) = auth.section("tune") else { return Tune::default() };
    let word = |field: &str| entry.text(field).map(|word| word.value.clone());
    let seconds = |field: &str| entry.number(field).and_then(|number| u64::try_from(number.value).ok());
    let texts = |field: &str| {
        entry.texts(field).map(|texts| texts.iter().map(|text| text.value.clone()).collect::<Vec<String>>())
    };
    let flag = |field: &str| entry.flag(field).map(|flag| flag.value);
    let tune = Tune {
        token_type: word("tokenType"),
        default_lease_ttl: seconds("defaultLeaseTtl"),
        max_lease_ttl: seconds("maxLeaseTtl"),
        listing_visibility: word("listingVisibility"),
        audit_non_hmac_request_keys: texts("auditNonHmacRequestKeys"),
        audit_non_hmac_response_keys: texts("auditNonHmacResponseKeys"),
        passthrough_request_headers: texts("passthroughRequestHeaders"),
        allowed_response_headers: texts("allowedResponseHeaders"),
        local: flag("local"),
        seal_wrap: flag("sealWrap"),
    };
    let at = |field: &str| entry.key(field).unwrap_or(entry.at);
    for field in
        ["auditNonHmacRequestKeys", "auditNonHmacResponseKeys", "passthroughRequestHeaders", "allowedResponseHeaders"]
    {
        for text in entry.texts(field).into_iter().flatten() {
            if text.value.is_empty() || text.value.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control()) {
                problems.add(
                    text.at,
                    format!("{:?} is no name of a field or header", text.value),
                    format!("write `{field}` as a list, one name per item"),
                );
            }
        }
    }
    if let (Some(default), Some(most @ 1..)) = (tune.default_lease_ttl, tune.max_lease_ttl)
        && default > most
    {
        problems.add(
            at("defaultLeaseTtl"),
            format!("`defaultLeaseTtl` ({default} s) is longer than `maxLeaseTtl` ({most} s)"),
            "make `defaultLeaseTtl` the shorter of the two",
        );
    }
    let keys = tune.audit_non_hmac_request_keys.as_deref().unwrap_or_default();
    let secret: Vec<&str> = SECRET_KEYS.into_iter().filter(|key| keys.iter().any(|named| named == key)).collect();
    if !secret.is_empty() {
        problems.warn(
            at("auditNonHmacRequestKeys"),
            format!("the audit log gets secrets in the clear: {}", listed(secret)),
            "take them out: whoever reads the log could log in with what it says",
        );
    }
    tune
}

/// Roles that ask for what the tokens of their mount can't be.
pub(super) fn lint_roles(clusters: &[Cluster], problems: &mut Problems) {
    for cluster in clusters {
        let tune = &cluster.auth.tune;
        for role in &cluster.roles {
            let token = &role.token;
            if let Some(of_mount) = &tune.token_type {
                let own = token.token_type.as_str();
                let kind = token_kind(of_mount, own);
                for (field, value, what) in [
                    ("period", token.period, "can't be renewed, so it has no period"),
                    ("numUses", token.num_uses, "is not stored, so its uses can't be counted"),
                ] {
                    // The role's own type was looked at with the role.
                    if value > 0 && kind == TokenKind::Batch && own != "batch" {
                        problems.add(
                            role.position,
                            format!("the mount gives this role batch tokens (`auth.tune.tokenType: {of_mount}`), and one {what}"),
                            format!("remove `{field}`, or write `tokenType: default-service` under `auth.tune`"),
                        );
                    }
                }
                let contradicts = matches!((of_mount.as_str(), own), ("batch", "service") | ("service", "batch"));
                if contradicts {
                    problems.add(
                        role.position,
                        format!("`tokenType: {own}` has no effect: the mount gives all roles {of_mount} tokens (`auth.tune.tokenType`)"),
                        format!("write `tokenType: default-{of_mount}` under `auth.tune`, which leaves it to the role"),
                    );
                }
            }
            let asks = token.ttl.max(token.period);
            if let Some(most @ 1..) = tune.max_lease_ttl
                && asks > most
            {
                problems.warn(
                    role.position,
                    format!(
                        "the tokens of this role end after {}, not {}: `maxLeaseTtl` of its mount is shorter",
                        written_duration(most),
                        written_duration(asks)
                    ),
                    "make `auth.tune.maxLeaseTtl` longer, or `ttl` and `period` of the role shorter",
                );
            }
        }
    }
}
