//! What policies allow, as far as every server would agree.

use std::collections::BTreeSet;

use crate::policy::{Acl, Capability, Policy, SlashOrder, Verdict};

/// What some policies allow together.
pub(crate) struct Foresight {
    orders: [Acl; 2],
}

impl Foresight {
    pub(crate) fn new(policies: &[&Policy]) -> Self {
        let acl = Acl::new(policies.iter().copied());
        let orders = [SlashOrder::WithFirst, SlashOrder::WithoutFirst];
        Self { orders: orders.map(|order| acl.clone().with_slash_order(order)) }
    }

    /// What is allowed on a path: nothing where the policies deny it; `None` where a template decides, or where OpenBao and
    /// Vault read a slash at the end differently.
    pub(crate) fn foretold(&self, path: &str) -> Option<BTreeSet<Capability>> {
        let [one, other] = self.orders.each_ref().map(|acl| acl.capabilities(path));
        let agreed = one == other;
        let Verdict::Known(mut capabilities) = one else { return None };
        capabilities.remove(&Capability::Deny);
        agreed.then_some(capabilities)
    }

    /// What OpenBao or Vault allows on a path, or both.
    pub(crate) fn on_some_server(&self, path: &str) -> BTreeSet<Capability> {
        let known = self.orders.iter().filter_map(|acl| match acl.capabilities(path) {
            Verdict::Known(capabilities) => Some(capabilities),
            Verdict::Unknown => None,
        });
        known.flatten().filter(|capability| *capability != Capability::Deny).collect()
    }
}
