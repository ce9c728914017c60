use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::vault::answered;
use crate::{Context, Error, Kubernetes, Mount, Result, Run, Vault};

/// The environment variable that names the state file of the lab that `cargo lab test` started.
pub const STATE_VARIABLE: &str = "VAULTK8S_LAB";

/// The servers that all tests of a run share. [`shared()`] gives it to a test.
#[derive(Debug)]
pub struct Lab {
    state: State,
    vault: Vault,
    kubernetes: Kubernetes,
}

/// What `cargo lab test` hands to the tests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) run: Run,
    pub(crate) vault_address: String,
    pub(crate) root_token: String,
    pub(crate) audit_log: PathBuf,
    pub(crate) kubernetes_server: String,
    pub(crate) kubernetes_ca: String,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) admin_token: String,
}

/// The lab of this test run.
///
/// # Panics
/// When there is none: tests run under `cargo lab test`.
#[allow(clippy::panic, reason = "for tests, where a missing server is a failure, never a reason to skip")]
pub fn shared() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| match std::env::var_os(STATE_VARIABLE) {
        Some(path) => answered(Lab::load(Path::new(&path))),
        None => panic!("no lab: run `cargo lab test`"),
    })
}

impl Lab {
    fn load(path: &Path) -> Result<Self> {
        let what = || format!("can't read the lab's state from {}", path.display());
        let text = fs::read_to_string(path)
            .context(what)
            .map_err(|error| error.remedy("its run is probably over: run `cargo lab test`"))?;
        Self::new(serde_json::from_str(&text).context(what)?)
    }

    pub(crate) fn new(state: State) -> Result<Self> {
        let vault = Vault::new(&state.vault_address, state.run.vault_authority().pem(), Some(&state.root_token))?;
        let kubernetes = Kubernetes::new(&state.kubernetes_server, &state.kubernetes_ca, &state.admin_token)?;
        Ok(Self { state, vault, kubernetes })
    }

    pub(crate) fn save(&self) -> Result<PathBuf> {
        let text = serde_json::to_string_pretty(&self.state)
            .map_err(|error| Error::new("can't write the lab's state").because(error))?;
        self.state.run.write("lab.json", &text)
    }

    /// A client for the shared Vault, as root. KV v2 is at `secret/`, KV v1 at `kv1/`.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// `VAULT_ADDR` of the shared Vault.
    pub fn vault_address(&self) -> &str {
        &self.state.vault_address
    }

    /// `VAULT_CACERT` of the shared Vault, and of all others that have the default transport: a PEM file.
    pub fn vault_ca(&self) -> PathBuf {
        self.state.run.vault_ca()
    }

    /// `VAULT_TOKEN` of the shared Vault: the root token.
    pub fn root_token(&self) -> &str {
        &self.state.root_token
    }

    /// The shared Vault's audit log: JSON lines, of all tests that run at the same time. A test that counts requests
    /// starts a server of its own.
    pub fn vault_audit_log(&self) -> &Path {
        &self.state.audit_log
    }

    /// A client for the shared cluster, as `cluster-admin`.
    pub fn kubernetes(&self) -> &Kubernetes {
        &self.kubernetes
    }

    /// The shared cluster's API server: `https://127.0.0.1:PORT`. Also the issuer of its tokens.
    pub fn kubernetes_server(&self) -> &str {
        &self.state.kubernetes_server
    }

    /// The shared cluster's CA, PEM.
    pub fn kubernetes_ca(&self) -> &str {
        &self.state.kubernetes_ca
    }

    /// `KUBECONFIG` of the shared cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.state.kubeconfig
    }

    /// The current context of [`Lab::kubeconfig`]. `rke` is another one, for the same cluster.
    pub fn context(&self) -> &'static str {
        "admin@taloslmn"
    }

    /// Creates a namespace with a name of its own in the shared cluster, and answers with the name.
    pub fn namespace(&self, prefix: &str) -> String {
        self.kubernetes.namespace(prefix)
    }

    /// Creates a service account in the shared cluster.
    pub fn service_account(&self, namespace: &str, name: &str) {
        self.kubernetes.service_account(namespace, name);
    }

    /// A service account token of the shared cluster: [`Kubernetes::token`].
    pub fn token(&self, namespace: &str, service_account: &str, audiences: &[&str], seconds: u32) -> String {
        self.kubernetes.token(namespace, service_account, audiences, seconds)
    }

    /// What `kubectl get --raw PATH` prints, byte for byte.
    pub fn kubectl_get_raw(&self, path: &str) -> String {
        self.kubernetes.get_raw(path)
    }

    /// A name of a test's own, for policies and roles: [`unique`](crate::unique).
    pub fn unique(&self, prefix: &str) -> String {
        crate::unique(prefix)
    }

    /// A name of a test's own for an auth mount of the shared Vault, which goes with it.
    pub fn mount(&self, prefix: &str) -> Mount {
        Mount::new(&self.vault, prefix)
    }

    /// The run that this lab belongs to.
    pub fn run(&self) -> &Run {
        &self.state.run
    }

    /// The program of the shared Vault server: `bao` or `vault`. It is a client, too.
    pub fn vault_program(&self) -> &Path {
        &self.state.run.servers().vault
    }

    /// kubectl: that of whoever runs the tests, else one of the servers' version.
    pub fn kubectl(&self) -> &Path {
        &self.state.run.servers().kubectl
    }

    /// The lab's own program, whose `supervise` command ends a process with the test that started it.
    pub fn supervisor(&self) -> PathBuf {
        self.state.run.supervisor()
    }
}
