//! The `jwt` method in full, against a real OpenBao (or Vault) and real control planes: rotation of keys, keys that Vault
//! fetches, every field changed by hand, and who a role lets in.

mod drift;
mod fetched_keys;
mod foreign_keys;
mod public_issuer;
mod record;
mod roles;
mod rotation;

use lab::{ControlPlane, ControlPlaneOptions, Mount};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};

/// A control plane of a test's own, with a mount, a policy and a role on the shared Vault.
struct Own {
    cluster: ControlPlane,
    mount: Mount,
    config: String,
}

impl Own {
    /// With more fields of `auth`, each with a comma in front.
    fn start(options: &ControlPlaneOptions, auth: &str) -> Self {
        let cluster = ControlPlane::start(options);
        cluster.client().create_namespace("app").unwrap();
        cluster.client().create_service_account("app", "app").unwrap();
        let lab = lab::shared();
        let (mount, policy) = (lab.mount("jwt-own"), lab.unique("p-own"));
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

    /// What `verify-role` says of its role.
    fn verify(&self, args: &[&str]) -> Answer {
        self.command(["verify-role", "r"]).args(args.iter().copied()).run()
    }

    /// The path by which the mount's options are written.
    fn tune(&self) -> String {
        format!("sys/mounts/auth/{}/tune", self.mount)
    }

    /// The mount's options.
    fn options(&self) -> serde_json::Map<String, Value> {
        let mounts = lab::shared().vault().read("sys/auth");
        mounts["data"][format!("{}/", self.mount)]["options"].as_object().cloned().unwrap_or_default()
    }

    /// The record of the keys that its cluster was seen to publish: options and their values.
    fn record(&self) -> Vec<(String, String)> {
        let options = self.options().into_iter().filter(|(name, _)| name.starts_with("vaultk8s-key-"));
        options.map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
    }

    /// Takes the record away, as if an earlier version or somebody else had set the mount up.
    fn forget_record(&self) {
        let nothing: serde_json::Map<_, _> = self.record().into_iter().map(|(name, _)| (name, "".into())).collect();
        lab::shared().vault().write(&self.tune(), &json!({ "options": nothing }));
        assert_eq!(self.record(), []);
    }

    /// Pins these elements, and nothing else.
    fn pin(&self, elements: &[String]) {
        let mut config = self.held();
        config["jwt_validation_pubkeys"] = json!(elements);
        config["jwt_supported_algs"] = json!(["RS256", "ES256"]);
        lab::shared().vault().write(&self.config_path(), &config);
    }

    fn config_path(&self) -> String {
        format!("auth/{}/config", self.mount)
    }

    /// The configuration that Vault holds.
    fn held(&self) -> Value {
        lab::shared().vault().read(&self.config_path())["data"].clone()
    }
}

/// A token with this policy alone.
fn operator(policy: &str) -> String {
    let vault = lab::shared().vault();
    let name = lab::unique("keys-operator");
    vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token = vault.write("auth/token/create", &json!({ "policies": [name], "ttl": "30m" }));
    token["auth"]["client_token"].as_str().unwrap().to_owned()
}
