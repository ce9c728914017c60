//! Whose a policy or a role in Vault is. Pure.
//!
//! A policy carries a [`Mark`] in its first line. A role has no room for one: who wrote it is in an [`Inventory`].

#[cfg(test)]
mod fixture;
mod inventory;
mod mark;
mod part;
mod place;

pub use inventory::{Inventories, Inventory, Listed, There, inventories};
pub use mark::Mark;
pub use part::{Amendment, Part, amended};
pub use place::{PREFIX, Place};
