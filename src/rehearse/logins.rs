//! The logins of a rehearsal: as everybody whom a role names, and as those whom it must refuse.

use futures::stream::{StreamExt as _, iter};
use indicatif::ProgressBar;
use secrecy::SecretString;

use super::cluster::{StandIn, StandIns};
use super::matrix::{Matrix, Questions};
use super::report::{Access, ClusterReport, NotTried, Refusal, RefusalStatus};
use crate::config::{Cluster, Config, Role};
use crate::error::{Error, Result};
use crate::names::{Audience, MountPath, PolicyName, ServiceAccountPattern, ServiceAccountRef};
use crate::vault::{Client, LoginAuth, VaultError, method};
use crate::verify::ask;

/// The name of everything that a rehearsal makes up.
const STRANGER: &str = "vaultk8s-rehearsal";

/// What the logins need.
pub(super) struct Logins<'a> {
    pub(super) client: &'a Client,
    pub(super) config: &'a Config,
    pub(super) stand_ins: &'a StandIns,
    pub(super) matrix: &'a Matrix<'a>,
}

/// What one role's logins showed.
#[derive(Default)]
struct RoleFindings {
    access: Vec<Access>,
    refusals: Vec<Refusal>,
    not_tried: Option<NotTried>,
}

impl Logins<'_> {
    /// Tries every role, with at most `parallelism` at a time, and reports in the order of the file.
    pub(super) async fn try_all(&self, parallelism: usize, progress: &ProgressBar) -> Result<Vec<ClusterReport>> {
        let mut reports = Vec::new();
        for cluster in &self.config.clusters {
            let Some(stand_in) = self.stand_ins.get(&cluster.name) else { continue };
            let mut report = ClusterReport::new(cluster, stand_in.issuer(), stand_in.synthetic);
            let one = async |(nth, role): (usize, &Role)| {
                progress.set_message(role.name.to_string());
                let findings = self.try_role(cluster, stand_in, role, nth).await;
                progress.inc(1);
                findings
            };
            let mut findings = iter(cluster.roles.iter().enumerate()).map(one).buffered(parallelism);
            while let Some(found) = findings.next().await {
                let found = found?;
                report.access.extend(found.access);
                report.refusals.extend(found.refusals);
                report.not_tried.extend(found.not_tried);
            }
            reports.push(report);
        }
        Ok(reports)
    }

    async fn try_role(&self, cluster: &Cluster, stand_in: &StandIn, role: &Role, nth: usize) -> Result<RoleFindings> {
        let mut findings = RoleFindings::default();
        let not_tried = |because: String| Some(NotTried { role: role.name.clone(), because });
        if !role.token.bound_cidrs.is_empty() {
            let addresses = role.token.bound_cidrs.join(", ");
            findings.not_tried = not_tried(format!("it takes logins only from {addresses}"));
            return Ok(findings);
        }
        let examples = role.account_patterns.iter().map(|pattern| (example(pattern), Some(pattern.to_string())));
        let accounts = role.service_accounts.iter().map(|account| (account.clone(), None)).chain(examples);
        let accounts: Vec<(ServiceAccountRef, Option<String>)> = accounts.collect();
        let Some((first, _)) = accounts.first() else {
            findings.not_tried = not_tried("it names no service account, only claims".to_owned());
            return Ok(findings);
        };
        let mut let_in = false;
        for (account, example_of) in &accounts {
            let mut access = Access::new(role, account, example_of.clone());
            let token = stand_in.token(account, &role.token_audiences)?;
            match self.login(&cluster.auth.mount, role, &token).await {
                Ok(login) => {
                    let_in = true;
                    let questions = self.matrix.questions(role, &cluster.auth.mount, nth);
                    self.look_around(&cluster.auth.mount, role, &login, questions, &mut access).await?;
                }
                Err(error) => access.failures.push(refused(stand_in, role, &error)),
            }
            findings.access.push(access);
        }
        // Where nobody gets in, a refusal says nothing.
        if let_in {
            findings.refusals = self.try_strangers(&cluster.auth.mount, stand_in, role, first).await?;
        }
        Ok(findings)
    }

    async fn login(&self, mount: &MountPath, role: &Role, token: &SecretString) -> Result<LoginAuth, VaultError> {
        let login = self.client.without_token().send(&method::login(mount, &role.name, token)).await?;
        Ok(login.auth)
    }

    async fn look_around(
        &self,
        mount: &MountPath,
        role: &Role,
        login: &LoginAuth,
        questions: Questions,
        access: &mut Access,
    ) -> Result<()> {
        let expected = role.policies.iter().map(PolicyName::as_str);
        let mut expected: Vec<&str> = expected.chain((!role.token.no_default_policy).then_some("default")).collect();
        let mut has: Vec<&str> = login.token_policies.iter().map(String::as_str).collect();
        expected.sort_unstable();
        expected.dedup();
        has.sort_unstable();
        if has != expected {
            let (has, expected) = (has.join(", "), expected.join(", "));
            access.failures.push(format!("its token carries {has}, and the role names {expected}"));
        }
        let own = self.client.with_token(login.client_token.clone());
        let actual = ask(self.client, &own, login, &questions.paths).await?;
        let judged = self.matrix.judge(role, mount, &actual);
        access.grants = judged.grants;
        access.refused_paths = judged.refused;
        access.paths_left_out = questions.left_out;
        access.failures.extend(judged.failures);
        Ok(())
    }

    /// Tries those who must be refused.
    async fn try_strangers(
        &self,
        mount: &MountPath,
        stand_in: &StandIn,
        role: &Role,
        account: &ServiceAccountRef,
    ) -> Result<Vec<Refusal>> {
        let elsewhere: Audience = format!("{STRANGER}-audience")
            .parse()
            .map_err(|error| Error::failed("the audience of a stranger is none").because(error))?;
        let neighbour = ServiceAccountRef { name: STRANGER.to_owned(), ..account.clone() };
        let namesake = ServiceAccountRef { namespace: STRANGER.to_owned(), ..account.clone() };
        let own = &role.token_audiences;
        let by_pattern = |stranger| {
            role.account_patterns.iter().any(|pattern| pattern.matches(stranger)).then_some("its pattern lets it in")
        };
        let any = role.audience.is_none().then_some("anyAudience lets it in");
        let tries = [
            ("another audience", stand_in.token(account, &[elsewhere])?, any),
            ("another account of its namespace", stand_in.token(&neighbour, own)?, by_pattern(&neighbour)),
            ("its name in another namespace", stand_in.token(&namesake, own)?, by_pattern(&namesake)),
            ("another key", stand_in.foreign_token(account, own)?, None),
        ];
        let mut refusals = Vec::new();
        for (who, token, stated) in tries {
            let answer = self.login(mount, role, &token).await;
            let (status, detail) = match (answer, stated) {
                (
                    Err(VaultError::Forbidden { errors, .. } | VaultError::Rejected { status: 400, errors, .. }),
                    None,
                ) => (RefusalStatus::Refused, errors.join("; ")),
                (Ok(_), Some(stated)) => (RefusalStatus::LetInAsStated, stated.to_owned()),
                (Ok(_), None) => (RefusalStatus::LetIn, "it must be refused, and it was let in".to_owned()),
                (Err(error), Some(stated)) => (RefusalStatus::Unclear, format!("{stated}, and yet: {}", told(&error))),
                (Err(error), None) => (RefusalStatus::Unclear, told(&error)),
            };
            refusals.push(Refusal { role: role.name.clone(), who, status, detail });
        }
        Ok(refusals)
    }
}

/// Somebody whom a pattern lets in.
fn example(pattern: &ServiceAccountPattern) -> ServiceAccountRef {
    let filled = |text: &str| text.replace('*', "x");
    ServiceAccountRef { namespace: filled(&pattern.namespace), name: filled(&pattern.name) }
}

/// Why a login that should succeed was refused, with what was compared.
fn refused(stand_in: &StandIn, role: &Role, error: &VaultError) -> String {
    let asked: Vec<&str> = if role.token_audiences.is_empty() {
        stand_in.default_audiences().iter().map(String::as_str).collect()
    } else {
        role.token_audiences.iter().map(Audience::as_str).collect()
    };
    let wants = role.audience.as_ref().map_or("any", Audience::as_str);
    format!(
        "its login was refused: {}. The token has iss {:?} and aud {asked:?}; the role wants the audience {wants:?}",
        told(error),
        stand_in.issuer(),
    )
}

/// The server's words alone, where it said any: the address of a throwaway server is of no use to anybody.
fn told(error: &VaultError) -> String {
    let errors = error.errors();
    if errors.is_empty() { error.to_string() } else { errors.join("; ") }
}
