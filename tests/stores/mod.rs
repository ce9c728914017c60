//! External Secrets' objects in a cluster of their own, in which its CRDs are installed: a store that uses a role, an
//! `ExternalSecret` that refers to it, and the Secret that the operator would have made of it.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "for tests, which fail by panicking"
)]

use std::process::Command;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{ControlPlane, ControlPlaneOptions};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, testdata};

const GROUP: &str = "/apis/external-secrets.io/v1";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The cluster with External Secrets' CRDs: those that `VAULTK8S_ESO_CRDS` names, else three that take anything.
pub fn cluster() -> &'static ControlPlane {
    static CLUSTER: OnceLock<ControlPlane> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = ControlPlane::start(&ControlPlaneOptions::default());
        install(&cluster, crds());
        cluster
    })
}

/// Installs CRDs, and waits until they are served.
pub fn install(cluster: &ControlPlane, crds: Vec<Value>) {
    for crd in crds {
        let (status, answer) = cluster.client().post(CRDS, &crd);
        assert_eq!(status, 201, "{answer}");
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap();
        let version = crd["spec"]["versions"][0]["name"].as_str().unwrap();
        while cluster.client().get(&format!("/apis/external-secrets.io/{version}/{plural}")).0 != 200 {
            std::thread::yield_now();
        }
    }
}

/// CRDs that take anything.
pub fn minimal_crds() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(testdata("external-secrets/crds.json")).unwrap()).unwrap()
}

fn crds() -> Vec<Value> {
    let Some(folder) = std::env::var_os("VAULTK8S_ESO_CRDS") else { return minimal_crds() };
    let files = ["clustersecretstores.yaml", "secretstores.yaml", "externalsecrets.yaml"];
    let read = |file| std::fs::read_to_string(std::path::Path::new(&folder).join(file)).unwrap();
    files.into_iter().map(|file| serde_saphyr::from_str(&read(file)).unwrap()).collect()
}

/// A role, a store that uses it, and what refers to that.
pub struct Stores {
    pub mount: String,
    pub role: String,
    pub namespace: String,
    pub config: String,
    kind: &'static str,
}

impl Stores {
    /// A `ClusterSecretStore` with jwt auth, and more lines for the role.
    pub fn jwt(role_lines: &str) -> Self {
        let stores = Self::new("ClusterSecretStore", "jwt", "audience: vault", role_lines);
        let account = json!({ "name": "app", "namespace": stores.namespace });
        let auth = json!({ "jwt": {
            "path": stores.mount, "role": stores.role,
            "kubernetesServiceAccountToken": { "serviceAccountRef": account }
        } });
        stores.create(&auth);
        stores
    }

    /// A `SecretStore` with kubernetes auth.
    pub fn kubernetes() -> Self {
        let binding = lab::unique("tokenreview");
        let auth = format!(
            "audience: https://kubernetes.default.svc.cluster.local, \
             reviewer: {{ serviceAccount: REVIEW/vault-auth, bindingName: {binding} }}"
        );
        let stores = Self::new("SecretStore", "kubernetes", &auth, "");
        let auth = json!({ "kubernetes": {
            "mountPath": stores.mount, "role": stores.role, "serviceAccountRef": { "name": "app" }
        } });
        stores.create(&auth);
        stores
    }

    fn new(kind: &'static str, method: &str, auth: &str, role_lines: &str) -> Self {
        let (mount, role, policy) = (lab::unique("jwt-eso"), lab::unique("r-app"), lab::unique("p-read"));
        let namespace = cluster().client().namespace("app");
        for account in ["app", "other"] {
            cluster().client().service_account(&namespace, account);
        }
        let auth = auth.replace("REVIEW", &format!("{namespace}-review"));
        let config = format!(
            "clusters:
  - name: lab
    context: rke
    auth: {{ method: {method}, mount: {mount}, {auth} }}
policies:
  - name: {policy}
    read: [{namespace}/*]
    list: [{namespace}/*]
roles:
  - name: {role}
    serviceAccounts: [{namespace}/app]
    policies: [{policy}]
{role_lines}"
        );
        let value = json!({ "data": { "password": "hidden-value" } });
        lab::shared().vault().write(&format!("secret/data/{namespace}/db"), &value);
        let stores = Self { mount, role, namespace, config, kind };
        stores.command(&["bootstrap"]).exits(0);
        stores
    }

    fn create(&self, auth: &Value) {
        let (name, namespace, kind) = (&self.role, &self.namespace, self.kind);
        let ca = std::fs::read(lab::shared().vault_ca()).unwrap();
        let vault = json!({
            "server": lab::shared().vault_address(), "path": "secret", "version": "v2",
            "caBundle": STANDARD.encode(ca), "auth": auth
        });
        let path = path(kind, namespace, "");
        post(&path, kind, name, &json!({ "provider": { "vault": vault } }));
        let data = json!([{ "secretKey": "password", "remoteRef": { "key": format!("{namespace}/db"), "property": "password" } }]);
        let spec = json!({
            "secretStoreRef": { "kind": kind, "name": name }, "refreshInterval": "15m0s", "target": { "name": "db" }, "data": data
        });
        post(&self::path("ExternalSecret", namespace, ""), "ExternalSecret", "db", &spec);
        let secret = json!({ "metadata": { "name": "db" }, "data": { "password": STANDARD.encode("hidden-value") } });
        let (status, answer) = cluster().client().post(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret);
        assert_eq!(status, 201, "{answer}");
    }

    fn command(&self, args: &[&str]) -> Answer {
        let command = Vaultk8s::new(args.iter().copied()).on_shared().config(&self.config).unhidden();
        command.env("KUBECONFIG", cluster().kubeconfig()).run()
    }

    /// Runs `verify-role` on the role.
    pub fn verify(&self, args: &[&str]) -> Answer {
        self.command(&[&["verify-role", &self.role], args].concat())
    }

    /// Expects that nothing is found.
    #[track_caller]
    pub fn healthy(&self) {
        self.verify(&[]).exits(0);
    }

    /// Expects a failure with this id before all others, with words in what is told of it.
    #[track_caller]
    pub fn first_cause(&self, id: &str, words: &[&str]) -> Value {
        let answer = self.verify(&["-o", "json"]).exits(1);
        let cause = answer.json()["causes"][0].clone();
        assert_eq!(cause["id"], id, "{}", answer.stdout);
        let told = serde_json::to_string(&cause).unwrap().replace("\\\"", "\"");
        for word in words {
            assert!(told.contains(word), "no {word:?} in {told}");
        }
        for part in ["evidence", "remedies"] {
            assert!(!cause[part].as_array().is_none_or(Vec::is_empty), "{told} has no {part}");
        }
        cause
    }

    /// Does what the first command does that is printed for the first cause.
    #[track_caller]
    pub fn run_remedy(&self, id: &str) {
        let cause = self.first_cause(id, &[]);
        kubectl(cause["remedies"][0]["command"].as_str().unwrap_or_else(|| panic!("no command in {cause}")));
    }

    /// Changes the store's provider by a merge patch.
    pub fn break_store(&self, provider: &Value) {
        let patch = json!({ "spec": { "provider": { "vault": provider } } });
        change(&path(self.kind, &self.namespace, &self.role), |store| merge(store, &patch));
    }

    /// Changes a field of what the `ExternalSecret` asks for.
    pub fn break_external_secret(&self, field: &str, value: &str) {
        let path = path("ExternalSecret", &self.namespace, "db");
        change(&path, |secret| secret["spec"]["data"][0]["remoteRef"][field] = value.into());
    }

    /// Lets the store say something of itself.
    pub fn set_status(&self, status: &Value) {
        let path = path(self.kind, &self.namespace, &self.role);
        let (_, mut store) = cluster().client().get(&path);
        store["status"] = status.clone();
        let (code, answer) = cluster().client().put(&format!("{path}/status"), &store);
        assert_eq!(code, 200, "{answer}");
    }
}

/// Where an object is, or all of them.
fn path(kind: &str, namespace: &str, name: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    let all = match plural.as_str() {
        "clustersecretstores" => format!("{GROUP}/{plural}"),
        "configmaps" => format!("/api/v1/namespaces/{namespace}/{plural}"),
        _ => format!("{GROUP}/namespaces/{namespace}/{plural}"),
    };
    if name.is_empty() { all } else { format!("{all}/{name}") }
}

fn post(path: &str, kind: &str, name: &str, spec: &Value) {
    let body =
        json!({ "apiVersion": "external-secrets.io/v1", "kind": kind, "metadata": { "name": name }, "spec": spec });
    let (status, answer) = cluster().client().post(path, &body);
    assert_eq!(status, 201, "{answer}");
}

fn change(path: &str, edit: impl FnOnce(&mut Value)) {
    let (_, mut object) = cluster().client().get(path);
    edit(&mut object);
    let (status, answer) = cluster().client().put(path, &object);
    assert_eq!(status, 200, "{answer}");
}

/// A JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let object = target.as_object_mut().unwrap();
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Does what a `kubectl patch` or `kubectl create configmap` does, with the words that a shell makes of the command: not
/// everybody who runs the tests has kubectl.
fn kubectl(command: &str) {
    let script = format!("kubectl() {{ printf '%s\\n' \"$@\"; }}\n{command}");
    let output =
        Command::new("sh").args(["-euc", &script]).env("VAULT_CACERT", lab::shared().vault_ca()).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    let words = String::from_utf8(output.stdout).unwrap();
    let mut words: Vec<&str> = words.lines().collect();
    let namespace = if words[0] == "-n" { words.drain(..2).nth(1).unwrap() } else { "" };
    match words.as_slice() {
        ["patch", kind, name, "--type", how, "-p", patch] => {
            let patch: Value = serde_json::from_str(patch).unwrap();
            change(&path(kind, namespace, name), |object| match *how {
                "merge" => merge(object, &patch),
                "json" => {
                    assert_eq!(patch[0]["op"], "replace", "{command}");
                    *object.pointer_mut(patch[0]["path"].as_str().unwrap()).unwrap() = patch[0]["value"].clone();
                }
                _ => panic!("{command}"),
            });
        }
        ["create", "configmap", name, from] => {
            let (key, file) = from.strip_prefix("--from-file=").unwrap().split_once('=').unwrap();
            let text = std::fs::read_to_string(file).unwrap();
            let body = json!({ "metadata": { "name": name }, "data": { key: text } });
            assert_eq!(cluster().client().post(&path("configmap", namespace, ""), &body).0, 201, "{command}");
        }
        _ => panic!("no test knows {command}"),
    }
}
