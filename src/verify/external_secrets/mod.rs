//! External Secrets, where it is installed: the stores that use a role are compared with it, and what refers to those
//! stores with what the role's login reads. Nothing is written.
//!
//! - `store_object`, `external_secret`: its objects;
//! - `uses`: which stores use which role;
//! - `astray`: stores and references that lead nowhere;
//! - `path`: where a store reads a key;
//! - `operator`, `conditions`, `store`, `trust` with `ca_provider`, `secrets`: the checks.

mod astray;
mod ca_provider;
mod conditions;
mod external_secret;
mod operator;
mod path;
mod secrets;
mod store;
mod store_condition;
mod store_object;
mod store_scene;
mod trust;
mod uses;

pub(super) use astray::ROWS as ASTRAY_ROWS;
pub(super) use external_secret::{ExternalSecret, StoreName};
pub(super) use operator::OPERATOR_ROWS;
pub(super) use operator::ROWS as VERSION_ROWS;
pub(super) use store_object::Store;
pub(super) use store_scene::StoreScene;
pub(super) use uses::{Astray, AstrayScene, Uses, uses};

use super::walk::Row;

/// The checks of a store, and of what refers to it.
pub(super) const STORE_ROWS: &[&[Row<StoreScene>]] =
    &[conditions::ROWS, store::ROWS, trust::ROWS, store::READY_ROWS, secrets::ROWS];
