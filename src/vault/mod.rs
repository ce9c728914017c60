//! Vault's HTTP API: pure request builders with typed answers, one file for each group of endpoints, and one
//! [`Client::send`].

pub(crate) mod audit;
pub mod auth_mounts;
pub mod configurations;
pub(crate) mod inventories;
pub mod kv;
pub mod listing;
pub mod method;
mod mount_table;
pub mod policies;
pub(crate) mod quotas;
pub mod roles;
pub mod tokens;

mod answer;
mod client;
mod consistency;
mod edition;
mod error;
mod remedy;
mod request;
mod retry;
pub mod tls;
mod transport;

use serde::Deserialize;

pub use self::client::{Client, Counts};
pub use self::edition::Edition;
pub(crate) use self::error::TurnedAwayBy;
pub use self::error::{Asked, TokenState, VaultError};
pub use self::inventories::{of_mount as inventories_of, read_parts};
pub use self::method::write_kubernetes_config;
pub use self::request::{Body, Request};
pub(crate) use self::retry::caught_up;
pub use self::roles::read as read_role;
pub use self::tokens::{CapabilitiesByPath, LoginAnswer, LoginAuth, SecondFactor, TokenInfo};

/// The envelope in which Vault answers reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// The answer to a request of which only the success matters.
pub type Done = serde::de::IgnoredAny;
