//! A mount of the kubernetes method on the shared servers, with a reviewer and a role of its own.

use lab::Mount;
use serde_json::Value;

use crate::command::{Answer, Vaultk8s, reader};

/// The audience of the lab's API server, and so of tokens that were asked for without one.
pub const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// A cluster with a mount, a reviewer, a policy and a role of its own on the shared servers.
#[derive(Clone)]
pub struct Fixture {
    pub mount: Mount,
    pub policy: String,
    pub binding: String,
    pub namespace: String,
    pub config: String,
}

impl Fixture {
    /// With the fields of the reviewer (`token: secret`), and more lines for `auth`.
    pub fn new(reviewer: &str, auth: &str) -> Self {
        let lab = lab::shared();
        let (mount, policy, binding) = (lab.mount("kubernetes"), lab.unique("p-read"), lab.unique("tokenreview"));
        let namespace = lab.namespace("app");
        lab.service_account(&namespace, "app");
        let names = match reviewer {
            "token: client" => String::new(),
            _ => format!("serviceAccount: {namespace}-review/vault-auth, bindingName: {binding}, "),
        };
        let config = format!(
            "clusters:
  - name: lab
    context: rke
    auth:
      method: kubernetes
      mount: {mount}
      audience: {API_AUDIENCE}
      reviewer: {{ {names}{reviewer} }}
{auth}
{reader}",
            reader = reader(&policy, &namespace)
        );
        Self { mount, policy, binding, namespace, config }
    }

    pub fn run(&self, args: &[&str]) -> Answer {
        Vaultk8s::new(args.iter().copied()).on_shared().config(&self.config).run()
    }

    pub fn bootstrap(&self) -> Answer {
        let answer = self.run(&["bootstrap"]).exits(0);
        self.in_order();
        answer
    }

    pub fn in_order(&self) {
        self.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    }

    /// Whether the role's service account logs in, with the token that External Secrets would get.
    pub fn logs_in(&self) -> bool {
        let lab = lab::shared();
        let token = lab.token(&self.namespace, "app", &[], 600);
        lab.vault().login(&self.mount, "r-app", &token).0 == 200
    }

    /// The record of the reviewer's token on its service account.
    pub fn record(&self) -> Value {
        let (_, account) = lab::shared().kubernetes().get(&self.account());
        let annotations = account["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        let record = annotations.into_iter().find(|(key, _)| key.starts_with("vaultk8s.io/"));
        record.map_or(Value::Null, |(_, text)| serde_json::from_str(text.as_str().unwrap()).unwrap())
    }

    pub fn set_record(&self, record: &Value) {
        let (cluster, path) = (lab::shared().kubernetes(), self.account());
        let (_, mut account) = cluster.get(&path);
        let annotations = account["metadata"]["annotations"].as_object_mut().unwrap();
        let key = annotations.keys().find(|key| key.starts_with("vaultk8s.io/")).unwrap().clone();
        annotations.insert(key, record.to_string().into());
        assert_eq!(cluster.put(&path, &account).0, 200);
    }

    pub fn account(&self) -> String {
        format!("/api/v1/namespaces/{}-review/serviceaccounts/vault-auth", self.namespace)
    }
}
