//! One login from end to end: a token from the cluster, the login, what it may do, and its end.

use std::collections::BTreeSet;

use super::checks::{self, Check};
use super::kubernetes::explain_refusal;
use super::probes::{Probes, probes};
use super::report::{CheckResult, RoleReport, Status};
use super::{Subject, Trial};
use crate::cluster::{self, ServiceAccountToken};
use crate::desired::kv_mounts;
use crate::error::Error;
use crate::policy::{Capability, Policy};
use crate::vault::{AuthMethod, CapabilitiesByPath, Client, ConfigDocument, LoginAuth, VaultError, method, tokens};

/// How long the cluster's token is asked for: the least that an API server gives.
const TOKEN_SECONDS: i64 = 600;

/// Tries one login and reports every check that it got to.
pub(super) async fn try_role(subject: &Subject<'_>, trial: &Trial<'_>, default_policy: Option<&Policy>) -> RoleReport {
    let mut checks = Checks::default();
    // The checks hang on each other: the first that fails ends the way, and all that was found is in `checks`.
    let _ended_early = steps(subject, trial, default_policy, &mut checks).await;
    RoleReport {
        cluster: trial.mount.cluster.clone(),
        mount: trial.mount.path.clone(),
        role: trial.role.name.clone(),
        service_account: trial.account.cloned(),
        checks: checks.0,
    }
}

/// The end of the way: the reason is in the checks.
pub(super) struct Ended;

async fn steps(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    default_policy: Option<&Policy>,
    checks: &mut Checks,
) -> Result<(), Ended> {
    let token = service_account_token(subject, trial, checks).await?;
    let login = login(subject, trial, &token, checks).await?;
    let role_client = subject.client.with_token(login.client_token.clone());
    compare_policies(trial, &login, checks);
    let result = compare_capabilities(subject, trial, default_policy, &role_client, &login, checks).await;
    revoke(subject, &role_client, &login, checks).await;
    result
}

async fn service_account_token(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    checks: &mut Checks,
) -> Result<ServiceAccountToken, Ended> {
    let Some(account) = trial.account else {
        return Err(
            checks.skip(checks::TOKEN, "the role names no service account, only claims: there is nobody to log in as")
        );
    };
    let Some(connection) = subject.connections.get(&trial.mount.cluster) else {
        return Err(
            checks.skip(checks::TOKEN, "the cluster can't be reached from here, so there is no token to log in with")
        );
    };
    let token = cluster::request_token(connection, account, &trial.role.token_audiences, TOKEN_SECONDS)
        .await
        .map_err(|error| checks.fail(checks::TOKEN, &error))?;
    checks.pass(checks::TOKEN, format!("{} gave a token of {account}", connection.name()));
    let has = &token.claims.issuer;
    let Some(trusts) = trusted_issuer(trial) else { return Ok(token) };
    if has != trusts {
        let error = Error::failed(format!("the token says iss {has:?}, and the mount trusts {trusts:?}"))
            .remedy("take `auth.issuer` out of the configuration, so that the issuer comes from the cluster");
        return Err(checks.fail(checks::ISSUER, &error));
    }
    checks.pass(checks::ISSUER, format!("iss {has:?}"));
    Ok(token)
}

/// The issuer that the mount compares, where it compares one.
fn trusted_issuer<'a>(trial: &Trial<'a>) -> Option<&'a str> {
    let issuer = match &trial.mount.config {
        ConfigDocument::Jwt(config) => &config.bound_issuer,
        ConfigDocument::Kubernetes(config) => &config.issuer,
    };
    Some(issuer.as_str()).filter(|issuer| !issuer.is_empty())
}

async fn login(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    token: &ServiceAccountToken,
    checks: &mut Checks,
) -> Result<LoginAuth, Ended> {
    let (mount, role) = (&trial.mount.path, &trial.role.name);
    match subject.client.without_token().send(&method::login(mount, role, token.secret())).await {
        Ok(login) => {
            let seconds = login.auth.lease_duration;
            checks.pass(checks::LOGIN, format!("auth/{mount}/login gave a token for {seconds} s"));
            Ok(login.auth)
        }
        Err(VaultError::Forbidden { .. }) if !trial.role.token.bound_cidrs.is_empty() => Err(checks.skip(
            checks::LOGIN,
            format!(
                "the role takes logins only from {}, and this is elsewhere",
                trial.role.token.bound_cidrs.join(", ")
            ),
        )),
        Err(error @ VaultError::Forbidden { .. }) if bare(&error) && trial.mount.method == AuthMethod::Kubernetes => {
            let evidence = explain_refusal(subject, trial.mount, &trial.role.audience, token).await;
            let error = Error::failed("Vault refused the login").because(error).remedy(evidence);
            Err(checks.fail(checks::LOGIN, &error))
        }
        Err(error) => Err(checks.fail(checks::LOGIN, &explain(trial, token, error))),
    }
}

/// Whether the server says no more than that it refuses.
pub(super) fn bare(error: &VaultError) -> bool {
    error.errors().iter().all(|said| said.trim() == "permission denied")
}

/// The server's words say which comparison failed; the values that it compared are here.
fn explain(trial: &Trial<'_>, token: &ServiceAccountToken, error: VaultError) -> Error {
    let said = error.to_string();
    let claims = &token.claims;
    let evidence = if said.contains("audience") {
        format!("the token has aud {:?}, the role wants {:?}", claims.audiences.0, trial.role.audience.as_str())
    } else if said.contains("(iss)") {
        format!(
            "the token has iss {:?}, the mount trusts {:?}",
            claims.issuer,
            trusted_issuer(trial).unwrap_or_default()
        )
    } else if said.contains("claim") || said.contains("not authorized") {
        format!("the token has sub {:?}", claims.subject)
    } else if said.contains("signature") {
        "the mount pins no key that signed this token; run `vaultk8s bootstrap` again if the keys rotated".to_owned()
    } else {
        format!("the token has iss {:?}, sub {:?} and aud {:?}", claims.issuer, claims.subject, claims.audiences.0)
    };
    Error::failed("Vault refused the login").because(error).remedy(evidence)
}

/// What the login carries against what the role names.
fn compare_policies(trial: &Trial<'_>, login: &LoginAuth, checks: &mut Checks) {
    let mut expected: BTreeSet<&str> = trial.role.policies.iter().map(crate::names::PolicyName::as_str).collect();
    if !trial.role.token.no_default_policy {
        expected.insert("default");
    }
    let has: BTreeSet<&str> = login.token_policies.iter().map(String::as_str).collect();
    let identity = login.identity_policies.as_deref().unwrap_or_default();
    if has != expected {
        let error = Error::failed(format!("it carries {}, and the role names {}", list(&has), list(&expected)))
            .remedy("look whether somebody else changes the role: `vaultk8s plan`");
        checks.fail(checks::POLICIES, &error);
    } else if identity.is_empty() {
        checks.pass(checks::POLICIES, list(&has));
    } else {
        let extra = identity.iter().map(String::as_str).collect();
        checks.warn(
            checks::POLICIES,
            format!("{}, and its identity adds {}", list(&has), list(&extra)),
            "look at the entity and its groups: `vault list identity/entity/name`",
        );
    }
}

async fn compare_capabilities(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    default_policy: Option<&Policy>,
    role_client: &Client,
    login: &LoginAuth,
    checks: &mut Checks,
) -> Result<(), Ended> {
    let policies: Vec<&Policy> = subject
        .desired
        .policies
        .iter()
        .filter(|policy| trial.role.policies.contains(&policy.name))
        .map(|policy| &policy.policy)
        .collect();
    let default = default_policy.filter(|_| !trial.role.token.no_default_policy);
    let probes = probes(&policies, default, &kv_mounts(subject.config), &trial.mount.path);
    let paths: Vec<String> = probes.expected.keys().cloned().collect();
    let answer = ask_capabilities(subject.client, role_client, login, &paths).await;
    let actual = answer.map_err(|error| checks.fail(checks::GRANTED, &error))?;
    report_capabilities(&probes, &actual, checks);
    Ok(())
}

/// With the login's own token, or with the operator's where that may not ask.
async fn ask_capabilities(
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
    if login.accessor.is_empty() {
        return Err(Error::failed("the login's token may not ask what it may do, and a batch token has no accessor")
            .remedy("grant `update` on `sys/capabilities-self` in one of the role's policies"));
    }
    match operator.send(&tokens::capabilities_accessor(&login.accessor, paths)).await {
        Ok(answer) => Ok(answer.data),
        Err(error) => Err(Error::from(operator.explain_forbidden(error).await)),
    }
}

fn report_capabilities(probes: &Probes, actual: &CapabilitiesByPath, checks: &mut Checks) {
    let names = |set: &BTreeSet<Capability>| -> BTreeSet<String> { set.iter().map(ToString::to_string).collect() };
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for (path, expected) in &probes.expected {
        let answer = actual.get(path).into_iter().flatten();
        let has: BTreeSet<String> = answer.filter(|capability| *capability != "deny").cloned().collect();
        let (required, allowed) = (names(&expected.required), names(&expected.allowed));
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
        checks.pass(checks::GRANTED, granted(&probes.rules));
    } else {
        let error = Error::failed(format!("it may not {}", missing.join("; it may not ")))
            .remedy("look whether somebody else changes the policies: `vaultk8s plan`");
        checks.fail(checks::GRANTED, &error);
    }
    if extra.is_empty() {
        let refused = probes.expected.values().filter(|expected| expected.allowed.is_empty()).count();
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
        0 => "its policies have templates only, which can't be foretold".to_owned(),
        1..=SHOWN => rules.join(", "),
        more => format!("{} and {} more", rules[..SHOWN].join(", "), more - SHOWN),
    }
}

/// By itself, or by the operator where the token may not.
pub(super) async fn revoke(subject: &Subject<'_>, role_client: &Client, login: &LoginAuth, checks: &mut Checks) {
    if login.token_type == "batch" {
        checks.pass(checks::REVOKED, "a batch token leaves nothing behind; it ends by itself");
        return;
    }
    if role_client.send(&tokens::revoke_self()).await.is_ok() {
        checks.pass(checks::REVOKED, "by itself");
        return;
    }
    match subject.client.send(&tokens::revoke_accessor(&login.accessor)).await {
        Ok(_) => checks.pass(checks::REVOKED, "by its accessor, with the operator's token"),
        Err(error) => {
            let error = Error::from(subject.client.explain_forbidden(error).await);
            checks.warn(
                checks::REVOKED,
                format!("the test's token could not be revoked and lives for {} s: {error}", login.lease_duration),
                "let the operator's token `update` `auth/token/revoke-accessor`",
            );
        }
    }
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().copied().collect::<Vec<_>>().join(", ") }
}

/// The results so far.
#[derive(Default)]
pub(super) struct Checks(pub(super) Vec<CheckResult>);

impl Checks {
    fn add(&mut self, check: Check, status: Status, detail: impl Into<String>, remedies: Vec<String>) {
        self.0.push(CheckResult { check, status, detail: detail.into(), remedies });
    }

    pub(super) fn pass(&mut self, check: Check, detail: impl Into<String>) {
        self.add(check, Status::Passed, detail, Vec::new());
    }

    pub(super) fn warn(&mut self, check: Check, detail: impl Into<String>, remedy: &str) {
        self.add(check, Status::Warning, detail, vec![remedy.to_owned()]);
    }

    pub(super) fn skip(&mut self, check: Check, detail: impl Into<String>) -> Ended {
        self.add(check, Status::Skipped, detail, Vec::new());
        Ended
    }

    pub(super) fn fail(&mut self, check: Check, error: &Error) -> Ended {
        let mut detail = error.to_string();
        for cause in error.causes() {
            detail.push_str(": ");
            detail.push_str(&cause);
        }
        let remedies = error.remedies().into_iter().map(str::to_owned).collect();
        self.add(check, Status::Failed, detail, remedies);
        Ended
    }
}
