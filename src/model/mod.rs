//! What is known of Vault and of clusters, as data: documents that a server has, and what was observed. No I/O.

mod auth_mount;
mod binding;
mod cluster_facts;
mod document;
mod held_role;
mod jwt;
mod kubernetes;
mod kv_version;
mod mount_settings;
mod mount_table;
mod observed;
mod reviewer;
mod reviewer_token;
mod served_keys;
mod stored_policy;
mod token_fields;

pub use auth_mount::AuthMount;
pub(crate) use auth_mount::{OWNER_OPTION, owner_option};
pub use binding::{AUTH_DELEGATOR, ObservedBinding, Others, Whose, described_subject, subject};
pub(crate) use binding::{FIELD_MANAGER, new as new_binding};
pub use cluster_facts::{ClusterFacts, TrustFiles};
pub use document::{AuthMethod, ConfigDocument, RoleDocument};
pub use held_role::HeldRole;
pub use jwt::{BrowserConfig, BrowserRole, JwtConfig, JwtRole, KeyUrl, KeysFrom};
pub use kubernetes::{KubernetesConfig, KubernetesRole};
pub use kv_version::{HeldKv, KvVersion};
pub use mount_settings::{MountSettings, TokenKind, token_kind};
pub(crate) use mount_table::MountTable;
pub use observed::{Observed, ObservedMount, StoreUse, Stores, Unlisted};
pub use reviewer::{
    Manifest, ObjectKind, ObservedClusterRole, ObservedNamespaceRights, ObservedReviewer, ObservedSecret,
};
pub(crate) use reviewer::{SECRET_OF_ACCOUNT, TOKEN_SECRET};
pub(crate) use reviewer_token::digest;
pub use reviewer_token::{RECORDS, Record, TokenSource, record_key, span};
pub use served_keys::{KeyPlace, ServedKeys};
pub use stored_policy::StoredPolicy;
pub use token_fields::TokenFields;
pub(crate) use token_fields::null_as_default;
