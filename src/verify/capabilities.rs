//! What a login may do, against what its policies say.

use std::collections::BTreeSet;

use super::probes::{DefaultPolicy, Probes, probes};
use super::results::Checks;
use super::{Subject, Trial, checks};
use crate::desired::kv_mounts;
use crate::error::Error;
use crate::policy::{Capability, Policy};
use crate::vault::{CapabilitiesByPath, Client, LoginAuth, VaultError, tokens};

/// Compares what a login may do with what its policies say, and with what they don't.
pub(super) async fn compare(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    role_client: &Client,
    login: &LoginAuth,
    checks: &mut Checks,
) {
    let policies: Vec<&Policy> = subject
        .desired
        .policies
        .iter()
        .filter(|policy| trial.role.policies.contains(&policy.name))
        .map(|policy| &policy.policy)
        .collect();
    let default = subject.default_policy.and_then(|text| Policy::parse(text).ok());
    let default = match &default {
        _ if trial.role.token.no_default_policy => DefaultPolicy::Absent,
        Some(policy) => DefaultPolicy::Known(policy),
        None => DefaultPolicy::Unknown,
    };
    let probes = probes(&policies, default, &kv_mounts(subject.config), &trial.mount.path);
    let paths: Vec<String> = probes.expected.keys().cloned().collect();
    match ask(subject.client, role_client, login, &paths).await {
        Ok(actual) => report(&probes, &actual, checks),
        Err(error) => {
            checks.fail(checks::GRANTED, &error);
        }
    }
}

/// With the login's own token, or with the operator's where that may not ask.
async fn ask(
    operator: &Client,
    role: &Client,
    login: &LoginAuth,
    paths: &[String],
) -> Result<CapabilitiesByPath, Error> {
    // Asking is a use, and so is the revocation: a token with one or two has none to spare.
    let may_ask = login.num_uses == 0 || login.num_uses > 2;
    if may_ask {
        match role.send(&tokens::capabilities_self(paths)).await {
            Ok(answer) => return Ok(answer.data),
            Err(VaultError::Forbidden { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let request = if login.accessor.is_empty() {
        tokens::capabilities(&login.client_token, paths)
    } else {
        tokens::capabilities_accessor(&login.accessor, paths)
    };
    match operator.send(&request).await {
        Ok(answer) => Ok(answer.data),
        Err(error) => Err(Error::from(operator.explain_forbidden(error).await)),
    }
}

fn report(probes: &Probes, actual: &CapabilitiesByPath, checks: &mut Checks) {
    let names = |set: &BTreeSet<Capability>| -> BTreeSet<String> { set.iter().map(ToString::to_string).collect() };
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for (path, expected) in &probes.expected {
        let answer = actual.get(path).into_iter().flatten();
        let has: BTreeSet<String> = answer.filter(|capability| *capability != "deny").cloned().collect();
        let required = names(&expected.required);
        // Where it isn't known what may be added, nothing is too much.
        let allowed = expected.allowed.as_ref().map_or_else(|| has.clone(), names);
        let lacks: Vec<&str> = required.difference(&has).map(String::as_str).collect();
        let more: Vec<&str> = has.difference(&allowed).map(String::as_str).collect();
        if !lacks.is_empty() {
            missing.push(format!("{} on {path}", lacks.join(", ")));
        }
        if !more.is_empty() {
            extra.push(format!("{} on {path}", more.join(", ")));
        }
    }
    if missing.is_empty() {
        if !probes.rules.is_empty() {
            checks.pass(checks::GRANTED, granted(&probes.rules));
        }
    } else {
        let error = Error::failed(format!("it may not {}", missing.join("; it may not ")))
            .remedy("look whether somebody else changes the policies: `vaultk8s plan`");
        checks.fail(checks::GRANTED, &error);
    }
    if !probes.unforeseen.is_empty() {
        checks.warn(
            checks::GRANTED,
            format!("what {} allows can't be foretold, and was not tried", probes.unforeseen.join(", ")),
            "try a path of a template by hand: only the server knows the identity that fills it in",
        );
    }
    if extra.is_empty() {
        let refused =
            probes.expected.values().filter(|expected| expected.allowed.as_ref().is_some_and(BTreeSet::is_empty));
        let refused = refused.count();
        checks.pass(checks::NOTHING_ELSE, format!("refused on {refused} paths beside them"));
    } else {
        let error = Error::failed(format!("it may also {}", extra.join("; it may also ")))
            .remedy("look for what grants it: Vault's policy `default`, a policy of its identity, or a wider rule");
        checks.fail(checks::NOTHING_ELSE, &error);
    }
}

/// `read secret/data/app/*, list secret/metadata/app/*`, and the number of the rest.
fn granted(rules: &[String]) -> String {
    const SHOWN: usize = 4;
    match rules.len() {
        0..=SHOWN => rules.join(", "),
        more => format!("{} and {} more", rules[..SHOWN].join(", "), more - SHOWN),
    }
}
