//! External Secrets' objects in a cluster of their own, in which its CRDs are installed: a store that uses a role, an
//! `ExternalSecret` that refers to it, and the Secret that the operator would have made of it.

use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{ControlPlane, ControlPlaneOptions};
use serde_json::{Value, json};

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
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/external-secrets/crds.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn crds() -> Vec<Value> {
    let Some(folder) = std::env::var_os("VAULTK8S_ESO_CRDS") else { return minimal_crds() };
    let files = ["clustersecretstores.yaml", "secretstores.yaml", "externalsecrets.yaml"];
    let read = |file| std::fs::read_to_string(Path::new(&folder).join(file)).unwrap();
    files.into_iter().map(|file| serde_saphyr::from_str(&read(file)).unwrap()).collect()
}

/// A store that uses a role, and what refers to it.
pub struct Stores {
    kind: &'static str,
    name: String,
    namespace: String,
}

impl Stores {
    /// What leads to a role from its service account `app`: a `ClusterSecretStore` with jwt auth, or a `SecretStore` with
    /// kubernetes auth. The secret is `NAMESPACE/db` below the KV mount `secret`, and what was made of it is there.
    pub fn create(kubernetes: bool, mount: &str, role: &str, namespace: &str) -> Self {
        let kind = if kubernetes { "SecretStore" } else { "ClusterSecretStore" };
        let auth = if kubernetes {
            json!({ "kubernetes": { "mountPath": mount, "role": role, "serviceAccountRef": { "name": "app" } } })
        } else {
            let account = json!({ "name": "app", "namespace": namespace });
            let token = json!({ "serviceAccountRef": account });
            json!({ "jwt": { "path": mount, "role": role, "kubernetesServiceAccountToken": token } })
        };
        let ca = STANDARD.encode(std::fs::read(lab::shared().vault_ca()).unwrap());
        let server = lab::shared().vault_address();
        let vault = json!({ "server": server, "path": "secret", "version": "v2", "caBundle": ca, "auth": auth });
        let stores = Self { kind, name: lab::unique("store"), namespace: namespace.to_owned() };
        stores.post(kind, &stores.name, &json!({ "provider": { "vault": vault } }));
        let reference = json!({ "key": format!("{namespace}/db"), "property": "password" });
        let spec = json!({
            "secretStoreRef": { "kind": kind, "name": stores.name }, "refreshInterval": "5m0s",
            "target": { "name": "db" }, "data": [{ "secretKey": "password", "remoteRef": reference }]
        });
        stores.post("ExternalSecret", "db", &spec);
        let secret = json!({ "metadata": { "name": "db" }, "data": { "password": STANDARD.encode("p") } });
        let (status, answer) = cluster().client().post(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret);
        assert_eq!(status, 201, "{answer}");
        stores
    }

    /// Another `ExternalSecret` that refers to the store, with the Secret that was made of it.
    #[allow(clippy::needless_pass_by_value, reason = "the data is written in place")]
    pub fn another_external_secret(&self, name: &str, data: Value) {
        let keys = data.as_array().unwrap().iter().map(|entry| entry["secretKey"].as_str().unwrap().to_owned());
        let made: serde_json::Map<_, _> = keys.map(|key| (key, STANDARD.encode("p").into())).collect();
        let reference = json!({ "kind": self.kind, "name": self.name });
        let spec = json!({
            "secretStoreRef": reference, "refreshInterval": "5m0s", "target": { "name": name }, "data": data
        });
        self.post("ExternalSecret", name, &spec);
        let secret = json!({ "metadata": { "name": name }, "data": made });
        let path = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        assert_eq!(cluster().client().post(&path, &secret).0, 201);
    }

    /// A second store, which differs from the first in its provider; and what it says of itself. Gives its name.
    pub fn beside(&self, provider: &Value, condition: &Value) -> String {
        let (_, mut store) = cluster().client().get(&self.path(self.kind, &self.name));
        merge(&mut store["spec"], &json!({ "provider": { "vault": provider } }));
        let other = Self { name: lab::unique("store"), namespace: self.namespace.clone(), ..*self };
        other.post(self.kind, &other.name, &store["spec"]);
        other.set_condition(condition);
        other.name
    }

    /// Changes the store's provider by a merge patch.
    pub fn change_provider(&self, provider: &Value) {
        self.change_store(&json!({ "provider": { "vault": provider } }));
    }

    /// Changes the store by a merge patch of its spec.
    pub fn change_store(&self, spec: &Value) {
        change(&self.path(self.kind, &self.name), |store| merge(store, &json!({ "spec": spec })));
    }

    /// Changes the `ExternalSecret` by a merge patch of its spec.
    pub fn change_external_secret(&self, spec: &Value) {
        change(&self.path("ExternalSecret", "db"), |secret| merge(secret, &json!({ "spec": spec })));
    }

    /// Changes what the `ExternalSecret` asks for.
    pub fn ask_for(&self, field: &str, value: &str) {
        change(&self.path("ExternalSecret", "db"), |secret| {
            secret["spec"]["data"][0]["remoteRef"][field] = value.into();
        });
    }

    /// Lets the store say something of itself.
    pub fn set_condition(&self, condition: &Value) {
        say(&self.path(self.kind, &self.name), condition);
    }

    /// Lets the `ExternalSecret` say something of itself.
    pub fn set_condition_of_external_secret(&self, condition: &Value) {
        say(&self.path("ExternalSecret", "db"), condition);
    }

    fn path(&self, kind: &str, name: &str) -> String {
        format!("{}/{name}", self.all(kind))
    }

    fn all(&self, kind: &str) -> String {
        let plural = format!("{}s", kind.to_lowercase());
        if kind == "ClusterSecretStore" {
            format!("{GROUP}/{plural}")
        } else {
            format!("{GROUP}/namespaces/{}/{plural}", self.namespace)
        }
    }

    fn post(&self, kind: &str, name: &str, spec: &Value) {
        let metadata = json!({ "name": name });
        let body = json!({ "apiVersion": "external-secrets.io/v1", "kind": kind, "metadata": metadata, "spec": spec });
        let (status, answer) = cluster().client().post(&self.all(kind), &body);
        assert_eq!(status, 201, "{answer}");
    }
}

/// Lets an object say something of itself.
fn say(path: &str, condition: &Value) {
    let (_, mut object) = cluster().client().get(path);
    object["status"] = json!({ "conditions": [condition] });
    let (status, answer) = cluster().client().put(&format!("{path}/status"), &object);
    assert_eq!(status, 200, "{answer}");
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
