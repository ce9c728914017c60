//! What tests of inventories are made of.

use std::collections::BTreeSet;

use super::Place;
use crate::names::RoleName;

/// The first part of an inventory.
pub(super) fn place() -> Place {
    Place::first(&"platform".parse().unwrap(), &"team/JWT-a".parse().unwrap())
}

/// Names of roles.
pub(super) fn roles(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}
