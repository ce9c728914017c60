//! The `jwt` method in full, against a real OpenBao (or Vault) and real control planes: rotation of keys, keys that Vault
//! fetches, every field changed by hand, and who a role lets in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]

mod command;
#[path = "jwt/drift.rs"]
mod drift;
#[path = "jwt/fetched_keys.rs"]
mod fetched_keys;
#[path = "jwt/roles.rs"]
mod roles;
#[path = "jwt/rotation.rs"]
mod rotation;

use command::Vaultk8s;
use lab::{ControlPlane, ControlPlaneOptions};

/// A control plane of a test's own, with a mount, a policy and a role on the shared Vault.
struct Own {
    cluster: ControlPlane,
    mount: String,
    config: String,
}

impl Own {
    /// With more fields of `auth`, each with a comma in front.
    fn start(options: &ControlPlaneOptions, auth: &str) -> Self {
        let cluster = ControlPlane::start(options);
        cluster.client().create_namespace("app").unwrap();
        cluster.client().create_service_account("app", "app").unwrap();
        let lab = lab::shared();
        let (mount, policy) = (lab.unique("jwt-own"), lab.unique("p-own"));
        let config = format!(
            "clusters: [{{ name: own, auth: {{ method: jwt, mount: {mount}, audience: vault{auth} }} }}]
policies: [{{ name: {policy}, read: [own/*] }}]
roles: [{{ name: r, serviceAccounts: [app/app], policies: [{policy}] }}]
"
        );
        Self { cluster, mount, config }
    }

    fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Vaultk8s {
        Vaultk8s::new(args).on_shared().env("KUBECONFIG", self.cluster.kubeconfig()).config(&self.config)
    }

    fn bootstrap(&self) {
        self.command(["bootstrap"]).run().exits(0).says(&["1 login verified"]);
        self.in_order();
    }

    fn in_order(&self) {
        self.command(["plan", "--detailed-exitcode"]).run().exits(0).says(&["No changes."]);
    }

    fn token(&self) -> String {
        self.cluster.client().token("app", "app", &["vault"], 3600)
    }

    /// Whether the role lets this token in.
    fn lets_in(&self, token: &str) -> bool {
        match lab::shared().vault().login(&self.mount, "r", token).0 {
            200 => true,
            400 => false,
            other => panic!("the login answered {other}"),
        }
    }

    fn config_path(&self) -> String {
        format!("auth/{}/config", self.mount)
    }

    /// The configuration that Vault holds.
    fn held(&self) -> serde_json::Value {
        lab::shared().vault().read(&self.config_path())["data"].clone()
    }
}
