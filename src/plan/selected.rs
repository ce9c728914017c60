//! Which namespaces a role selects by their labels, as the cluster has them now.

use super::kubernetes::Planned;
use super::{Change, Write};
use crate::desired::DesiredMount;
use crate::model::Observed;
use crate::names::NamespaceSelector;

/// How many namespaces are named.
const NAMED: usize = 8;

/// Tells it of the roles that are written: only where it is decided, not on every run that changes something else.
pub(super) fn tell(mount: &DesiredMount, changes: &[Change], observed: &Observed, planned: &mut Planned) {
    for change in changes {
        let Write::Role { name, role, .. } = &change.write else { continue };
        let Some(selector) = role.kubernetes().and_then(|role| {
            let written = &role.bound_service_account_namespace_selector;
            NamespaceSelector::held(written).filter(|_| !written.is_empty())
        }) else {
            continue;
        };
        let role = format!("auth/{}: the role {name} selects namespaces by the labels {selector}", mount.path);
        let namespaces = match observed.namespaces.get(&mount.cluster) {
            Some(Ok(namespaces)) => namespaces,
            Some(Err(why)) => {
                planned.notices.push(format!("{role}; which those are now could not be seen: {why}"));
                continue;
            }
            None => {
                planned.notices.push(format!("{role}; which those are now could not be seen from here"));
                continue;
            }
        };
        let selected: Vec<&str> = namespaces
            .iter()
            .filter(|(_, labels)| selector.matches(labels))
            .map(|(namespace, _)| namespace.as_str())
            .collect();
        if selected.is_empty() {
            planned.warnings.push(format!(
                "{role}, which none of the {} namespaces of {} has: nobody logs in by them until one does",
                namespaces.len(),
                mount.cluster
            ));
        } else {
            planned.notices.push(format!("{role}: {} now, and later whichever gets them", counted(&selected)));
        }
    }
}

/// `2 (a, b)`, cut where there are many.
pub(crate) fn counted(namespaces: &[&str]) -> String {
    let named = namespaces.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match namespaces.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} ({named}, and {more} more)", namespaces.len()),
        _ => format!("{} ({named})", namespaces.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_namespaces_are_counted_and_some_named() {
        assert_eq!(counted(&["a", "b"]), "2 (a, b)");
        assert_eq!(counted(&["a"; 8]), "8 (a, a, a, a, a, a, a, a)");
        assert_eq!(counted(&["a"; 20]), "20 (a, a, a, a, a, a, a, a, and 12 more)");
    }
}
