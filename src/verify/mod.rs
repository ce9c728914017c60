//! Proof by real logins, and the names of what stands in their way.
//!
//! [`verify`] is what a bootstrap does at its end: each role is logged in to with the token that its consumer would
//! present, and what that login may do is compared with what the policies say, and with what they don't. [`inspect`] is
//! `verify-role`: it goes through the whole chain, link by link ([`CATALOGUE`]), and says which one is broken, by what
//! evidence, and what mends it.
//!
//! - `catalogue`: the checks, their order, and what each needs;
//! - `scene`: what they look at; `facts`: what servers say about it, each asked once, when a check wants it;
//! - `links`: the checks themselves, pure functions of these; `binding`: whom a role takes;
//! - `external_secrets`: the stores that use a role, and what refers to them;
//! - `walk`: going through them; `outrank`: what a login that works means for what was read before;
//! - `finding`, `section`, `report` and `verification`: what they found.

mod binding;
mod brought;
mod capabilities;
mod capture;
pub(crate) mod catalogue;
mod cause;
mod consequences;
mod diagnosis;
mod external_secrets;
mod facts;
mod finding;
mod grants;
mod inspect;
mod links;
mod outrank;
mod probes;
mod proof;
mod report;
mod reviewer_trial;
mod scene;
mod scenes;
mod section;
mod selected;
mod unproved;
mod verification;
mod walk;

use std::collections::BTreeMap;

pub use brought::check_brought;
pub(crate) use capabilities::ask;
pub use capture::{Capture, KIND as CAPTURE_KIND};
pub use catalogue::{CATALOGUE, Check, CheckId, Link, Severity};
pub use cause::Cause;
pub(crate) use facts::installed::read as installed_external_secrets;
pub(crate) use facts::review::refused_as_reviewer;
pub use finding::{CheckResult, Evidence, Finding, Remedy, Status, Weight};
pub(crate) use inspect::narrow;
pub use inspect::{Inspected, Inspection, RoleFlags, Target, inspect};
pub use proof::{count, verify};
pub use report::Diagnosis;
pub use reviewer_trial::refusing_mounts;
pub(crate) use section::worst;
pub use section::{About, Section};
pub use verification::Verification;
pub use walk::Selection;

use crate::cluster::{Connection, ServiceAccountToken};
use crate::config::Config;
use crate::desired::Desired;
use crate::interrupt::Interrupt;
use crate::model::Observed;
use crate::names::{ClusterName, cidr, glob};
use crate::vault::Client;

/// What is proved, or probed, of a configuration that was just compared with Vault.
pub struct Subject<'a> {
    /// The operator's client, for what a role's own token may not ask.
    pub client: &'a Client,
    /// The configuration.
    pub config: &'a Config,
    /// What Vault should hold.
    pub desired: &'a Desired,
    /// What Vault holds, as far as it was just read and is still so.
    pub observed: Option<&'a Observed>,
    /// The ways to the clusters that can be reached.
    pub connections: &'a BTreeMap<ClusterName, Connection>,
    /// Once set, no login is begun any more; those under way end with their revocation.
    pub interrupt: &'a Interrupt,
    /// A token of a consumer's that was brought along.
    pub brought: Option<&'a ServiceAccountToken>,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The Rust files of a folder of this module.
    fn files(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify").join(folder);
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn checks_ask_nobody_themselves() {
        let files: Vec<PathBuf> = ["links", "external_secrets", "scene"].into_iter().flat_map(files).collect();
        assert!(files.len() > 40, "{files:?}");
        for file in files {
            let code = fs::read_to_string(&file).unwrap();
            // The one that makes a scene.
            let code = code.replace("pub(crate) async fn without_dead_token", "").replace("dead.await", "");
            let words = [
                ".await",
                "async ",
                "tokio::",
                "reqwest::",
                " Api<",
                "Api::<",
                "kube::Client",
                "UdpSocket",
                "Timestamp::now",
            ];
            for word in words {
                let found = code.lines().position(|line| line.contains(word)).map(|at| at + 1);
                assert_eq!(found, None, "{}: a check is a pure function of facts: {word}", file.display());
            }
        }
    }
}
