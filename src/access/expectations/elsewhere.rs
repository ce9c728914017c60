//! Paths by which a server lets somebody do what the rules of the usual path deny.
//!
//! Its answer about capabilities on the usual paths doesn't tell, so policies do.

use super::Holding;
use crate::access::denied::folders_above;
use crate::access::slash::harm;
use crate::desired::KvVersions;
use crate::policy::{Capability, Rule};
use Capability::{Delete, Deny, List, Scan};

/// Other paths by which something can be done.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// A KV engine of version 2 deletes `x` where `x/` is to be deleted, about which rules for `x` say nothing.
    slashed: Vec<String>,
    /// Folders above: OpenBao tells a scan all names that are below.
    above: Vec<String>,
}

impl Elsewhere {
    /// For what a rule allows on these paths.
    pub(super) fn of(rule: &Rule, paths: &[String], kv: &KvVersions) -> Self {
        let mut elsewhere = Self::default();
        if rule.capabilities.contains(&Delete) {
            let slashed = paths.iter().filter(|path| !path.ends_with('/')).map(|path| format!("{path}/"));
            elsewhere.slashed = slashed.filter(|path| harm(path, kv).contains(&Delete)).collect();
        }
        if rule.capabilities.contains(&List) {
            elsewhere.above = paths.iter().flat_map(|path| folders_above(path, kv)).collect();
            elsewhere.above.sort();
            elsewhere.above.dedup();
        }
        elsewhere
    }

    /// Where somebody can do it so, and how.
    pub(super) fn granted(&self, holding: &Holding<'_>) -> Option<String> {
        let deletes = |path: &&String| {
            let decides = holding.acl.decides_request(path);
            decides.is_some_and(|(_, allowed)| allowed.contains(&Delete) && !allowed.contains(&Deny))
        };
        // OpenBao alone knows scans, and reads a folder with its slash first.
        let scans = |folder: &&String| {
            let decides = holding.acl.decides(folder);
            decides.is_some_and(|(_, allowed)| allowed.contains(&Scan) && !allowed.contains(&Deny))
        };
        let slashed = self.slashed.iter().find(deletes);
        let slashed =
            slashed.map(|path| format!("{path}, which is the same secret to the engine and another path to its rules"));
        let above =
            || self.above.iter().find(scans).map(|folder| format!("{folder}, where a scan tells all that is below"));
        slashed.or_else(above)
    }
}
