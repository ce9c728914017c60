//! The logins of a rehearsal: as everybody whom a role names, and as those whom it must refuse.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{StreamExt as _, iter};
use secrecy::SecretString;

use super::cluster::{STRANGER, StandIn, StandIns};
use super::matrix::{Matrix, Questions};
use super::report::{Access, ClusterReport, NotTried, Refusal, RefusalStatus};
use super::tenants::{Own, Tenants};
use crate::access::claims::{bound_uid, of_a_pod, takes_issuer};
use crate::access::who::{LetsIn, Who, let_in, lets_in};
use crate::access::{AskedExpectation, Holding, Tried};
use crate::cluster::{ServiceAccountToken, TokenClaims};
use crate::config::{Cluster, ClusterAccount, Config, Labelled, Role};
use crate::error::{Error, Result};
use crate::names::{Audience, MountPath, PolicyName, ServiceAccountPattern, ServiceAccountRef};
use crate::progress::Progress;
use crate::vault::{CapabilitiesByPath, Client, LoginAuth, VaultError, method};
use crate::verify::ask;

/// What the logins need.
pub(super) struct Logins<'a> {
    pub(super) client: &'a Client,
    pub(super) config: &'a Config,
    pub(super) stand_ins: &'a StandIns,
    pub(super) matrix: &'a Matrix<'a>,
    pub(super) tenants: &'a Tenants,
}

/// What all logins showed.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// Cluster by cluster, in the order of the file.
    pub(super) clusters: Vec<ClusterReport>,
    /// What everybody may do on the paths of the expectations.
    pub(super) holdings: Vec<Holding<'a>>,
}

/// What one role's logins showed.
#[derive(Default)]
struct RoleFindings<'a> {
    access: Vec<Access>,
    holdings: Vec<Holding<'a>>,
    refusals: Vec<Refusal>,
    not_tried: Vec<NotTried>,
}

impl<'a> Logins<'a> {
    /// Tries every role, with at most `parallelism` at a time, and reports in the order of the file.
    pub(super) async fn try_all(&self, parallelism: usize, progress: &Progress) -> Result<Found<'a>> {
        let mut all = Found::default();
        for cluster in &self.config.clusters {
            let Some(stand_in) = self.stand_ins.get(&cluster.name) else { continue };
            let mut report = ClusterReport::new(cluster, stand_in.issuer(), stand_in.synthetic);
            self.label_expected(cluster, stand_in);
            let one = async |(nth, role): (usize, &'a Role)| {
                progress.set_message(&role.name.to_string());
                let findings = self.try_role(cluster, stand_in, role, nth).await;
                progress.inc(1);
                findings
            };
            let mut findings = iter(cluster.roles.iter().enumerate()).map(one).buffered(parallelism);
            while let Some(found) = findings.next().await {
                let found = found?;
                all.holdings.extend(found.holdings);
                report.access.extend(found.access);
                report.refusals.extend(found.refusals);
                report.not_tried.extend(found.not_tried);
            }
            all.clusters.push(report);
        }
        Ok(all)
    }

    /// Who tries to log in as a role: all whom it names, and those who match what it names and of whom something is expected, where
    /// that depends on who it is.
    fn whom(&self, cluster: &Cluster, stand_in: &StandIn, role: &Role) -> Vec<Who> {
        let mut all = let_in(role);
        // A real cluster may have none of that name.
        if stand_in.real().is_none() && self.matrix.depends_on_who(role) {
            all.extend(expected_of(&self.matrix.expectations, cluster, role));
        }
        all
    }

    /// Gives namespaces of those of whom something is expected the labels by which roles let them in. That is done before any login, and
    /// in the order of the file: of two roles that select one namespace by different values, the first gets it.
    fn label_expected(&self, cluster: &Cluster, stand_in: &StandIn) {
        for role in &cluster.roles {
            let Some(labelled) = &role.labelled else { continue };
            for who in self.whom(cluster, stand_in, role) {
                let Who::Account(account) = who else { continue };
                let (there, wanted) = (stand_in.labels(&account.namespace), labelled.selector.labels());
                let agrees = wanted.iter().all(|(label, value)| there.get(label).is_none_or(|other| other == value));
                if agrees && lets_in(role, &account) == LetsIn::Perhaps {
                    stand_in.label(&account.namespace, wanted);
                }
            }
        }
    }

    async fn try_role(
        &self,
        cluster: &'a Cluster,
        stand_in: &StandIn,
        role: &'a Role,
        nth: usize,
    ) -> Result<RoleFindings<'a>> {
        let mut findings = RoleFindings::default();
        let holding = |who: Who, found: Option<&CapabilitiesByPath>, tried| {
            let own = self.matrix.own(role, &self.tenants.identity(cluster, role, &who));
            let allowed = match found {
                Some(actual) => self.matrix.found(&own, actual),
                None => self.matrix.foreseen(&own),
            };
            let (unforeseen, acl) = (Matrix::unforeseen_of(&own), self.matrix.acl_of(&own));
            Holding { cluster: &cluster.name, role, who, allowed, unforeseen, acl, tried }
        };
        // What they may do is as the policies say, as far as can be told.
        let not_tried = |because: String| RoleFindings {
            not_tried: vec![NotTried { role: role.name.clone(), because }],
            holdings: self
                .whom(cluster, stand_in, role)
                .into_iter()
                .map(|who| holding(who, None, Tried::Not))
                .collect(),
            ..RoleFindings::default()
        };
        if !role.token.bound_cidrs.is_empty() {
            let addresses = role.token.bound_cidrs.join(", ");
            return Ok(not_tried(format!("it takes logins only from {addresses}")));
        }
        if stand_in.synthetic && !takes_issuer(role, stand_in.issuer()) {
            return Ok(not_tried(
                "it binds iss, and the issuer of a rehearsal is where Vault finds its keys".to_owned(),
            ));
        }
        let of_a_pod = of_a_pod(role);
        if let (Some(claim), Some(_)) = (of_a_pod.keys().next(), stand_in.real()) {
            return Ok(not_tried(format!(
                "it wants {claim}, which only a pod's own token has, or one that stands in a Secret"
            )));
        }
        let mut first = None;
        for (at, who) in self.whom(cluster, stand_in, role).into_iter().enumerate() {
            let (account, example_of) = match &who {
                Who::Account(account) if is_elsewhere(role, account, stand_in) => {
                    findings.holdings.push(holding(who.clone(), None, Tried::Not));
                    let because = format!("{who}: another role selects its namespace by other labels");
                    findings.not_tried.push(NotTried { role: role.name.clone(), because });
                    continue;
                }
                Who::Account(account) => (account.clone(), None),
                // A real cluster may have none that matches.
                Who::Pattern(_) | Who::Labelled(_) if stand_in.real().is_some() => {
                    findings.holdings.push(holding(who.clone(), None, Tried::Not));
                    let because = format!("{who}: who that is, is for the cluster to say");
                    findings.not_tried.push(NotTried { role: role.name.clone(), because });
                    continue;
                }
                Who::Pattern(pattern) => (example(pattern), Some(pattern.to_string())),
                Who::Labelled(labelled) => {
                    let account = labelled_example(labelled, nth);
                    stand_in.label(&account.namespace, labelled.selector.labels());
                    (account, Some(labelled.to_string()))
                }
                Who::Claims(_) | Who::Anyone | Who::Selected { .. } => {
                    return Ok(not_tried("it names no service account, only claims".to_owned()));
                }
            };
            let mut access = Access::new(role, &account, example_of);
            // Which one the account has, only its cluster knows.
            let mut claims = of_a_pod.clone();
            claims.extend(bound_uid(role, at));
            let mut consumers = role.consumers().into_iter();
            let as_consumer = consumers.next().unwrap_or_default();
            // Each of several audiences is proved; what a login may do is the same for all.
            for other in consumers {
                if let Err(refused) =
                    self.log_in_as(&cluster.auth.mount, stand_in, role, &account, (&other, &claims)).await
                {
                    access.failures.push(refused);
                }
            }
            match self.log_in_as(&cluster.auth.mount, stand_in, role, &account, (&as_consumer, &claims)).await {
                Ok((token, login)) => {
                    let own = self.tenants.identity(cluster, role, &Who::Account(account.clone()));
                    let own = self.matrix.own(role, &own);
                    let questions = self.matrix.questions(&own, &cluster.auth.mount, nth);
                    let actual = self.look_around(&cluster.auth.mount, &own, &login, questions, &mut access).await?;
                    // What an example is given as itself, others that match aren't.
                    let is_itself = access.example_of.is_none() || !own.is_filled();
                    findings.holdings.push(holding(who, Some(&actual).filter(|_| is_itself), Tried::Worked));
                    first.get_or_insert((account, token, claims));
                }
                Err(refused) => {
                    // The role names who tried, so what it gives counts against what is expected of nobody.
                    findings.holdings.push(holding(who, None, Tried::Refused));
                    access.failures.push(refused);
                }
            }
            findings.access.push(access);
        }
        // Where nobody gets in, a refusal says nothing.
        if let Some((account, token, claims)) = first {
            let own = LetIn { account: &account, token: &token, claims: &claims };
            findings.refusals = self.try_strangers(&cluster.auth.mount, stand_in, role, &own).await?;
        }
        Ok(findings)
    }

    /// Logs in with the token that a consumer would present, or says why that is refused.
    async fn log_in_as(
        &self,
        mount: &MountPath,
        stand_in: &StandIn,
        role: &Role,
        account: &ServiceAccountRef,
        (audiences, claims): (&[Audience], &BTreeMap<String, String>),
    ) -> Result<(ServiceAccountToken, LoginAuth), String> {
        let token = stand_in.token(account, audiences, claims).await;
        let token = token.map_err(|error| {
            let to_do: Vec<String> = error.remedies().iter().map(|remedy| format!("; {remedy}")).collect();
            format!("{error}{}", to_do.concat())
        })?;
        let login = self.login(mount, role, token.secret()).await;
        login.map_err(|error| refused(&token.claims, role, &error)).map(|login| (token, login))
    }

    async fn login(&self, mount: &MountPath, role: &Role, token: &SecretString) -> Result<LoginAuth, VaultError> {
        self.client.without_token().log_in(&method::login(mount, &role.name, token)).await
    }

    async fn look_around(
        &self,
        mount: &MountPath,
        of: &Own<'_>,
        login: &LoginAuth,
        questions: Questions,
        access: &mut Access,
    ) -> Result<CapabilitiesByPath> {
        let role = of.role;
        let expected = role.policies.iter().map(PolicyName::as_str);
        let mut expected: Vec<&str> = expected.chain((!role.token.no_default_policy).then_some("default")).collect();
        let mut has: Vec<&str> = login.info.token_policies.iter().map(String::as_str).collect();
        expected.sort_unstable();
        expected.dedup();
        has.sort_unstable();
        if has != expected {
            let (has, expected) = (has.join(", "), expected.join(", "));
            access.failures.push(format!("its token carries {has}, and the role names {expected}"));
        }
        let own = self.client.with_token(login.client_token.clone());
        let actual = ask(self.client, &own, login, &questions.paths).await?;
        let judged = self.matrix.judge(of, mount, &actual);
        access.grants = judged.grants;
        access.refused_paths = judged.refused;
        access.paths_left_out = questions.left_out;
        access.failures.extend(judged.failures);
        Ok(actual)
    }

    /// Tries those who must be refused, beside who was let in.
    async fn try_strangers(
        &self,
        mount: &MountPath,
        stand_in: &StandIn,
        role: &Role,
        own: &LetIn<'_>,
    ) -> Result<Vec<Refusal>> {
        let LetIn { account, token, claims } = *own;
        let elsewhere: Audience = format!("{STRANGER}-audience")
            .parse()
            .map_err(|error| Error::failed("the audience of a stranger is none").because(error))?;
        let any_audience = role.audiences.is_empty().then_some("anyAudience lets it in");
        let of_a_pod = of_a_pod(role);
        let other_audience = stand_in.token(account, &[elsewhere], claims).await;
        let mut refusals =
            vec![self.must_be_refused(mount, role, "another audience", other_audience.map(Some), any_audience).await];
        // A made-up account may match a pattern; of a real cluster's, only those are strangers that don't.
        let is_stranger = |other: &ServiceAccountRef| match (lets_in(role, other), &role.labelled) {
            (LetsIn::No, _) => true,
            // Which labels the stand-in's namespaces have is known.
            (LetsIn::Perhaps, Some(labelled)) if stand_in.real().is_none() => {
                !labelled.takes(&other.name, &stand_in.labels(&other.namespace))
            }
            _ => false,
        };
        for (who, same_namespace) in [(OF_ITS_NAMESPACE, true), (OF_ANOTHER_NAMESPACE, false)] {
            let borrowed = match stand_in.stranger(account, same_namespace, is_stranger).await {
                Ok(None) => Ok(None),
                Ok(Some(other)) => {
                    let token = stand_in.token(&other, &role.consumers().concat(), &of_a_pod).await;
                    token.map(|token| Some((other, token)))
                }
                Err(error) => Err(error),
            };
            let stated = matches!(&borrowed, Ok(Some((other, _))) if !is_stranger(other));
            let token = borrowed.map(|borrowed| borrowed.map(|(_, token)| token));
            let stated = stated.then_some("its pattern lets it in");
            refusals.push(self.must_be_refused(mount, role, who, token, stated).await);
        }
        let forged = self.login(mount, role, &token.forged()).await;
        refusals.push(judged(role, "another key", forged, None));
        Ok(refusals)
    }

    /// Tries a stranger's token; `stated` is what in the configuration lets it in.
    async fn must_be_refused(
        &self,
        mount: &MountPath,
        role: &Role,
        who: &'static str,
        token: Result<Option<ServiceAccountToken>>,
        stated: Option<&str>,
    ) -> Refusal {
        let not_tried = |because: String| Refusal {
            role: role.name.clone(),
            who,
            status: RefusalStatus::NotTried,
            detail: because,
        };
        match token {
            Ok(Some(token)) => judged(role, who, self.login(mount, role, token.secret()).await, stated),
            Ok(None) => not_tried("there is none to borrow".to_owned()),
            Err(error) => not_tried(error.to_string()),
        }
    }
}

/// Whether an account that a role lets in by the labels of its namespace alone is in one that has others.
fn is_elsewhere(role: &Role, account: &ServiceAccountRef, stand_in: &StandIn) -> bool {
    role.labelled.as_ref().is_some_and(|labelled| {
        lets_in(role, account) == LetsIn::Perhaps
            && !labelled.takes(&account.name, &stand_in.labels(&account.namespace))
    })
}

/// Those who match a pattern of a role, or have a name that it takes by labels, and of whom something is expected.
pub(super) fn expected_of(expectations: &[AskedExpectation<'_>], cluster: &Cluster, role: &Role) -> Vec<Who> {
    let accounts = expectations.iter().flat_map(AskedExpectation::accounts);
    let matching = accounts.filter(|ClusterAccount { cluster: of, account }| {
        let by_pattern = || role.account_patterns.iter().any(|pattern| pattern.matches(account));
        // Whom it names in full is tried already.
        let by_labels = || role.labelled.as_ref().is_some_and(|labelled| labelled.has_name(&account.name));
        *of == cluster.name && (by_pattern() || (by_labels() && !role.service_accounts.contains(account)))
    });
    matching.map(|expected| &expected.account).collect::<BTreeSet<_>>().into_iter().cloned().map(Who::Account).collect()
}

/// Who was let in, with the claims that it has because the role wants them.
struct LetIn<'a> {
    account: &'a ServiceAccountRef,
    token: &'a ServiceAccountToken,
    claims: &'a BTreeMap<String, String>,
}

/// How the strangers are called that have another service account.
const OF_ITS_NAMESPACE: &str = "another account of its namespace";
const OF_ANOTHER_NAMESPACE: &str = "an account of another namespace";

/// What the answer to a stranger's login means.
fn judged(role: &Role, who: &'static str, answer: Result<LoginAuth, VaultError>, stated: Option<&str>) -> Refusal {
    let (status, detail) = match (answer, stated) {
        (Err(VaultError::Forbidden { errors, .. } | VaultError::Rejected { status: 400, errors, .. }), None) => {
            (RefusalStatus::Refused, errors.join("; "))
        }
        (Ok(_), Some(stated)) => (RefusalStatus::LetInAsStated, stated.to_owned()),
        (Ok(_), None) => (RefusalStatus::LetIn, "it must be refused, and it was let in".to_owned()),
        (Err(error), Some(stated)) => (RefusalStatus::Unclear, format!("{stated}, and yet: {}", told(&error))),
        (Err(error), None) => (RefusalStatus::Unclear, told(&error)),
    };
    Refusal { role: role.name.clone(), who, status, detail }
}

/// Somebody whom a pattern lets in.
fn example(pattern: &ServiceAccountPattern) -> ServiceAccountRef {
    let filled = |text: &str| text.replace('*', "x");
    ServiceAccountRef { namespace: filled(&pattern.namespace), name: filled(&pattern.name) }
}

/// Somebody whom a role lets in by the labels of a namespace, which no other role's has.
fn labelled_example(labelled: &Labelled, nth: usize) -> ServiceAccountRef {
    let name = labelled.names.first().map_or_else(String::new, |name| name.replace('*', "x"));
    ServiceAccountRef { namespace: format!("labelled-{}", nth + 1), name }
}

/// Why a login that should succeed was refused, with what was compared.
fn refused(claims: &TokenClaims, role: &Role, error: &VaultError) -> String {
    let wants: Vec<&str> = role.audiences.iter().map(Audience::as_str).collect();
    let wants = if wants.is_empty() { "any".to_owned() } else { wants.join(" or ") };
    format!(
        "its login was refused: {}. The token has iss {:?} and aud {:?}; the role wants the audience {wants:?}",
        told(error),
        claims.issuer,
        claims.audiences.0,
    )
}

/// The server's words alone, where it said any: the address of a throwaway server is of no use to anybody.
fn told(error: &VaultError) -> String {
    let errors = error.errors();
    if errors.is_empty() { error.to_string() } else { errors.join("; ") }
}
