//! What a plan was made from and others may change, to be looked at again when it is carried out.

use std::collections::BTreeMap;

use crate::desired::{Desired, DesiredMount};
use crate::model::Observed;
use crate::names::{MountPath, Owner};

/// What was seen of what others may change while a plan is looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    /// Whose the file is.
    pub(crate) owner: Option<Owner>,
    /// The mounts of the file that were there.
    pub(crate) mounts: BTreeMap<MountPath, SeenMount>,
    /// Whether the token may not list policies, among which inventories are.
    pub(crate) unlisted: bool,
}

/// What tells a mount from another, and whose file keeps it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenMount {
    /// Its accessor.
    pub(crate) accessor: String,
    /// The owner whose file keeps it, as it says.
    pub(crate) keeper: Option<Owner>,
}

impl Seen {
    /// What was seen of what the desired state touches.
    pub(super) fn of(desired: &Desired, observed: &Observed) -> Self {
        let seen = |mount: &DesiredMount| {
            let there = observed.auth_mounts.get(mount.path.as_str())?;
            Some((mount.path.clone(), SeenMount { accessor: there.accessor.clone(), keeper: there.keeper() }))
        };
        Self {
            owner: desired.owner.clone(),
            mounts: desired.mounts.iter().filter_map(seen).collect(),
            unlisted: observed.inventories_unseen.is_some(),
        }
    }
}
