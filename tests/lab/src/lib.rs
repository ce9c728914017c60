//! The real servers that `vaultk8s` is tested against: OpenBao (or Vault) and a Kubernetes control plane.
//!
//! `cargo lab test` starts one of each for a whole test run. A test takes them from [`shared()`] and keeps apart from
//! its neighbours by namespace and mount names ([`Lab::unique`]):
//!
//! ```no_run
//! let lab = lab::shared();
//! let namespace = lab.namespace("jwt");
//! lab.service_account(&namespace, "app");
//! let token = lab.token(&namespace, "app", &["vault"], 600);
//! let (status, answer) = lab.vault().get("sys/auth");
//! ```
//!
//! A test that seals, restarts or breaks a server, or that counts requests, starts its own: [`VaultServer::start`],
//! [`ControlPlane::start`].
//!
//! What is here for tests panics with a message when a server doesn't do its part, since a missing server is a failure
//! and never a reason to skip. It blocks, so it belongs in plain `#[test]` functions, not inside an async runtime.
//!
//! Nothing outlives its run: see [`supervise`].

mod audit;
mod balancer;
mod broken_logins;
mod certificates;
mod community_edition;
mod control_plane;
mod error;
mod front;
mod gate;
mod http;
mod impostor;
mod kubernetes;
mod mount;
mod pages;
mod passage;
mod ports;
mod proxy;
mod relay;
mod run;
mod service_account_key;
mod shared;
mod shifted_clock;
mod start;
pub mod supervise;
mod tally;
mod terminal;
mod two_nodes;
mod vault;
mod vault_server;

pub use audit::AuditedRequest;
pub use balancer::Balancer;
pub use broken_logins::{BrokenLogins, LoginFault};
pub use certificates::{Authority, ServerCertificate};
pub use community_edition::CommunityEdition;
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use error::{Context, Error, Result};
pub use front::Front;
pub use gate::{Gate, Held, HoldAt};
pub use impostor::Impostor;
pub use kubernetes::Kubernetes;
pub use mount::Mount;
pub use pages::Pages;
pub use proxy::{Proxy, ProxyOptions};
pub use relay::Relay;
pub use run::{Run, Servers};
pub use service_account_key::{KeyKind, ServiceAccountKey};
pub use shared::{Lab, STATE_VARIABLE, shared};
pub use shifted_clock::ShiftedClock;
pub use start::RunningLab;
pub use tally::Tally;
pub use terminal::Terminal;
pub use two_nodes::TwoNodes;
pub use vault::Vault;
pub use vault_server::{Pod, Seal, Transport, VaultOptions, VaultServer};

/// A name that no other test of this run, or of another one at the same time, has: `prefix-1f0c9a3e`.
///
/// Fit for mounts, policies, roles and, when `prefix` is a short DNS label, namespaces.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{:08x}", rand::random::<u32>())
}
