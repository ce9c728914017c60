//! Proof by real logins: each role is logged in to with the token that its consumer would present, and what that login
//! may do is compared with what the policies say, and with what they don't.

mod capabilities;
mod checks;
mod kubernetes;
mod login;
mod probes;
mod report;
mod results;

use std::collections::BTreeMap;

use futures::stream::{StreamExt, iter};
use indicatif::ProgressBar;

pub use checks::{CATALOGUE, Check};
pub use kubernetes::probe;
pub use report::{CheckResult, MountReport, RoleReport, Status, Verification};

use crate::cluster::Connection;
use crate::config::{Config, Role};
use crate::desired::{Desired, DesiredMount};
use crate::interrupt::Interrupt;
use crate::names::{ClusterName, ServiceAccountPattern, ServiceAccountRef};
use crate::vault::Client;

/// Everything that verification looks at.
pub struct Subject<'a> {
    /// The operator's client, for what a role's own token may not ask.
    pub client: &'a Client,
    /// The configuration.
    pub config: &'a Config,
    /// What Vault should hold.
    pub desired: &'a Desired,
    /// The text of Vault's policy `default`, where it could be read.
    pub default_policy: Option<&'a str>,
    /// The ways to the clusters that can be reached.
    pub connections: &'a BTreeMap<ClusterName, Connection>,
    /// Once set, no login is begun any more; those under way end with their revocation.
    pub interrupt: &'a Interrupt,
}

/// One login to try.
#[derive(Clone, Copy)]
struct Trial<'a> {
    mount: &'a DesiredMount,
    role: &'a Role,
    account: Option<&'a ServiceAccountRef>,
    /// Whom the role lets in where that is no account that could be tried.
    pattern: Option<&'a ServiceAccountPattern>,
}

/// How many logins [`verify`] will try.
pub fn count(config: &Config) -> usize {
    let trials = |role: &Role| (role.service_accounts.len() + role.account_patterns.len()).max(1);
    config.clusters.iter().flat_map(|cluster| &cluster.roles).map(trials).sum()
}

/// Logs in as every service account of every role, with at most `parallelism` at a time.
pub async fn verify(subject: &Subject<'_>, parallelism: usize, progress: &ProgressBar) -> Verification {
    let mut trials = Vec::new();
    for cluster in &subject.config.clusters {
        let Some(mount) = subject.desired.mounts.iter().find(|mount| mount.cluster == cluster.name) else { continue };
        for role in &cluster.roles {
            let nobody = Trial { mount, role, account: None, pattern: None };
            if role.service_accounts.is_empty() && role.account_patterns.is_empty() {
                trials.push(nobody);
            }
            trials.extend(role.service_accounts.iter().map(|account| Trial { account: Some(account), ..nobody }));
            trials.extend(role.account_patterns.iter().map(|pattern| Trial { pattern: Some(pattern), ..nobody }));
        }
    }
    let one = async |trial: Trial<'_>| {
        progress.set_message(trial.role.name.to_string());
        let report = login::try_role(subject, &trial).await;
        progress.inc(1);
        report
    };
    let mounts = iter(&subject.desired.mounts).map(kubernetes::check_mount).buffered(parallelism);
    let mounts: Vec<Option<MountReport>> = mounts.collect().await;
    // `buffered`, not `buffer_unordered`: the report follows the file.
    let begun = iter(trials).take_while(|_| std::future::ready(!subject.interrupt.is_set()));
    let roles = begun.map(one).buffered(parallelism).collect().await;
    Verification { mounts: mounts.into_iter().flatten().collect(), roles }
}
