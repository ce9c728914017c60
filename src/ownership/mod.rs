//! Whose a policy or a role in Vault is. Pure.
//!
//! A policy carries a [`Mark`] in its first line. A role has no room for one: who wrote it is in an [`Inventory`].

mod inventory;
mod mark;

pub use inventory::{Amendment, Inventories, Inventory, PREFIX, Part, Place, amended, inventories};
pub use mark::Mark;
