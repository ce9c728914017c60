//! What is known of Vault and of clusters, as data: documents that a server has, and what was observed. No I/O.

mod auth_mount;
mod document;
mod held_role;
mod jwt;
mod kubernetes;
mod kv_version;
mod mount_settings;
mod mount_table;
mod stored_policy;
mod token_fields;

pub use auth_mount::AuthMount;
pub(crate) use auth_mount::OWNER_OPTION;
pub use document::{AuthMethod, ConfigDocument, RoleDocument};
pub use held_role::HeldRole;
pub use jwt::{BrowserConfig, BrowserRole, JwtConfig, JwtRole, KeyUrl, KeysFrom};
pub use kubernetes::{KubernetesConfig, KubernetesRole};
pub use kv_version::KvVersion;
pub use mount_settings::{MountSettings, TokenKind, token_kind};
pub(crate) use mount_table::MountTable;
pub use stored_policy::StoredPolicy;
pub use token_fields::TokenFields;
pub(crate) use token_fields::null_as_default;
