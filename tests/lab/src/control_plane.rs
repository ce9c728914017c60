use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use reqwest::Method;
use tempfile::TempDir;

use crate::run::write_private;
use crate::supervise::Supervised;
use crate::vault::answered;
use crate::{Authority, Context, Error, KeyKind, Kubernetes, Result, Run, ServiceAccountKey, ports, shared};

/// The contexts of the lab's kubeconfig: the names of the example configurations. The first is the current one.
const CONTEXTS: [(&str, &str); 2] = [("admin@taloslmn", "taloslmn"), ("rke", "rke")];

/// What sort of cluster to start.
#[derive(Clone, Debug)]
pub struct ControlPlaneOptions {
    /// The keys of service account tokens: the first signs, all of them are published and accepted. A new RSA key when
    /// there are none.
    pub keys: Vec<ServiceAccountKey>,
    /// The `iss` of tokens: the API server's URL when there is none.
    pub issuer: Option<String>,
    /// The audiences that the API server accepts, of which the first is what TokenRequest gives without being asked for
    /// any: `https://kubernetes.default.svc.cluster.local` and the API server's URL when there are none.
    pub api_audiences: Vec<String>,
    /// Whether requests without a token are looked at at all (and then mostly refused with 403, not 401).
    pub anonymous: bool,
    /// Whether to start the controller manager, which fills service account token Secrets.
    pub controller_manager: bool,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self { keys: Vec::new(), issuer: None, api_audiences: Vec::new(), anonymous: true, controller_manager: true }
    }
}

/// A Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager. There are no nodes, so nothing runs in it.
/// It ends when dropped.
///
/// The API server and etcd keep their ports for life; the API server's certificate is valid for `127.0.0.1`, `localhost`
/// and `kubernetes.default.svc`.
#[derive(Debug)]
pub struct ControlPlane {
    // kube-apiserver hangs on SIGTERM once its etcd is gone. Supervisors kill, and it goes before its etcd all the same.
    controller_manager: Option<Supervised>,
    api_server: Option<Supervised>,
    etcd: Option<Supervised>,
    folder: TempDir,
    run: Run,
    options: ControlPlaneOptions,
    authority: Authority,
    client: Kubernetes,
    ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    api_server: u16,
    etcd: u16,
    etcd_peer: u16,
}

impl ControlPlane {
    /// Starts a control plane of a test's own. It takes a few seconds and some 400 MB.
    ///
    /// # Panics
    /// When it can't be started, or there is no lab.
    pub fn start(options: &ControlPlaneOptions) -> Self {
        answered(Self::start_in(shared().run(), options))
    }

    /// Starts a control plane in this run.
    pub fn start_in(run: &Run, options: &ControlPlaneOptions) -> Result<Self> {
        ports::retrying(|| Self::launch(run, options))
    }

    fn launch(run: &Run, options: &ControlPlaneOptions) -> Result<Self> {
        let folder = run.subfolder("kubernetes")?;
        let authority = Authority::new("lab kubernetes CA")?;
        let [api_server, etcd, etcd_peer] = ports::free()?;
        let server = format!("https://127.0.0.1:{api_server}");
        let token = format!("{:032x}", rand::random::<u128>());
        let path = folder.path();
        write_private(&path.join("tokens.csv"), &format!("{token},admin,admin,\"system:masters\"\n"))?;
        write_private(&path.join("ca.crt"), authority.pem())?;
        write_private(&path.join("kubeconfig"), &kubeconfig(&server, authority.pem(), &token))?;
        authority.server_certificate(path, "kube-apiserver", &["127.0.0.1", "localhost", "kubernetes.default.svc"])?;
        let mut control_plane = Self {
            controller_manager: None,
            api_server: None,
            etcd: None,
            run: run.clone(),
            options: options.clone(),
            client: Kubernetes::new(&server, authority.pem(), &token)?,
            authority,
            ports: Ports { api_server, etcd, etcd_peer },
            folder,
        };
        control_plane.run_programs()?;
        Ok(control_plane)
    }

    fn run_programs(&mut self) -> Result<()> {
        self.write_keys()?;
        self.etcd = Some(self.run_etcd()?);
        self.api_server = Some(self.run_api_server()?);
        if self.options.controller_manager {
            self.controller_manager = Some(self.run_controller_manager()?);
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_keys(&mut self) -> Result<()> {
        if self.options.keys.is_empty() {
            self.options.keys.push(ServiceAccountKey::generate(KeyKind::Rsa2048)?);
        }
        for (index, key) in self.options.keys.iter().enumerate() {
            if index == 0 {
                write_private(&self.path("sa.key"), key.private_pem())?;
            }
            write_private(&self.path(&format!("sa-{index}.pub")), key.public_pem())?;
        }
        Ok(())
    }

    fn run_etcd(&self) -> Result<Supervised> {
        let client = format!("http://127.0.0.1:{}", self.ports.etcd);
        let peer = format!("http://127.0.0.1:{}", self.ports.etcd_peer);
        let arguments = [
            flag("data-dir", self.path("etcd")),
            flag("listen-client-urls", &client),
            flag("advertise-client-urls", &client),
            flag("listen-peer-urls", &peer),
            // The data is thrown away with the run: there is nothing to keep through a power failure.
            flag("unsafe-no-fsync", "true"),
        ];
        let mut etcd = self.server("etcd", &self.run.servers().etcd, &arguments)?;
        etcd.wait_until(Duration::from_secs(30), |etcd| {
            Ok(etcd.log_of_this_start().contains("serving client traffic").then_some(()))
        })?;
        Ok(etcd)
    }

    fn run_api_server(&self) -> Result<Supervised> {
        let server = self.client.server();
        let audiences = if self.options.api_audiences.is_empty() {
            format!("https://kubernetes.default.svc.cluster.local,{server}")
        } else {
            self.options.api_audiences.join(",")
        };
        let mut arguments = vec![
            flag("etcd-servers", format!("http://127.0.0.1:{}", self.ports.etcd)),
            flag("secure-port", self.ports.api_server.to_string()),
            flag("bind-address", "127.0.0.1"),
            flag("advertise-address", "127.0.0.1"),
            flag("tls-cert-file", self.path("kube-apiserver.crt")),
            flag("tls-private-key-file", self.path("kube-apiserver.key")),
            flag("token-auth-file", self.path("tokens.csv")),
            flag("anonymous-auth", self.options.anonymous.to_string()),
            flag("authorization-mode", "RBAC"),
            flag("service-cluster-ip-range", "10.0.0.0/24"),
            flag("service-account-issuer", self.options.issuer.as_deref().unwrap_or(server)),
            flag("service-account-signing-key-file", self.path("sa.key")),
            flag("api-audiences", audiences),
        ];
        for index in 0..self.options.keys.len() {
            arguments.push(flag("service-account-key-file", self.path(&format!("sa-{index}.pub"))));
        }
        let mut api_server = self.server("kube-apiserver", &self.run.servers().kube_apiserver, &arguments)?;
        api_server.wait_until(Duration::from_secs(60), |_| {
            let ready = self.client.request(Method::GET, "/readyz", None);
            Ok(matches!(ready, Ok((200, _))).then_some(()))
        })?;
        Ok(api_server)
    }

    fn run_controller_manager(&self) -> Result<Supervised> {
        let controllers = [
            "serviceaccount-controller",
            "serviceaccount-token-controller",
            "root-ca-certificate-publisher-controller",
            "namespace-controller",
        ];
        let arguments = [
            flag("kubeconfig", self.path("kubeconfig")),
            flag("service-account-private-key-file", self.path("sa.key")),
            flag("root-ca-file", self.path("ca.crt")),
            flag("controllers", controllers.join(",")),
            flag("use-service-account-credentials", "false"),
            flag("leader-elect", "false"),
            // Nobody asks it anything.
            flag("secure-port", "0"),
        ];
        let program = &self.run.servers().kube_controller_manager;
        let mut controller_manager = self.server("kube-controller-manager", program, &arguments)?;
        // Its first deed: until then, a token Secret stays empty.
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        controller_manager.wait_until(Duration::from_secs(30), |_| {
            Ok((self.client.request(Method::GET, account, None)?.0 == 200).then_some(()))
        })?;
        Ok(controller_manager)
    }

    fn server(&self, name: &str, program: &Path, arguments: &[OsString]) -> Result<Supervised> {
        Supervised::server(&self.run, name, self.folder.path(), program, arguments)
    }

    /// The API server's URL: `https://127.0.0.1:PORT`.
    pub fn server_url(&self) -> &str {
        self.client.server()
    }

    /// The authority that the API server has its certificate from.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A kubeconfig, with the contexts `admin@taloslmn` (current) and `rke`, both `cluster-admin` here.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// A client that acts as `cluster-admin`.
    pub fn client(&self) -> &Kubernetes {
        &self.client
    }

    /// The keys of service account tokens; the first signs.
    pub fn keys(&self) -> &[ServiceAccountKey] {
        &self.options.keys
    }

    /// Ends its processes. What calls the API server now finds nobody listening.
    pub fn stop(&mut self) {
        self.controller_manager = None;
        self.api_server = None;
        self.etcd = None;
    }

    /// Starts it again with other options: same ports, same CA, same data. A rotation of signing keys, for example.
    ///
    /// # Panics
    /// When it doesn't come back.
    pub fn restart(&mut self, options: &ControlPlaneOptions) {
        self.stop();
        self.options = options.clone();
        answered(self.run_programs());
    }

    /// Starts it again empty: same ports and CA, but no data, as after a rebuild of the cluster.
    ///
    /// # Panics
    /// When it doesn't come back.
    pub fn rebuild(&mut self, options: &ControlPlaneOptions) {
        self.stop();
        answered(fs::remove_dir_all(self.path("etcd")).context(|| "can't remove etcd's data".to_owned()));
        self.restart(options);
    }

    pub(crate) fn check(&mut self) -> Result<()> {
        let processes = [&mut self.etcd, &mut self.api_server, &mut self.controller_manager];
        processes.into_iter().flatten().try_for_each(Supervised::check)
    }

    /// What the API server logged.
    ///
    /// # Panics
    /// When it has been stopped.
    pub fn api_server_log(&self) -> String {
        let stopped = || Error::new("this control plane has been stopped");
        answered(self.api_server.as_ref().map(Supervised::log).ok_or_else(stopped))
    }
}

fn flag(name: &str, value: impl Into<OsString>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value.into());
    flag
}

fn kubeconfig(server: &str, ca: &str, token: &str) -> String {
    let ca = base64::engine::general_purpose::STANDARD.encode(ca);
    let contexts = CONTEXTS
        .map(|(context, cluster)| format!("- name: {context}\n  context: {{ cluster: {cluster}, user: admin }}\n"));
    let clusters = CONTEXTS.map(|(_, cluster)| {
        format!("- name: {cluster}\n  cluster:\n    server: {server}\n    certificate-authority-data: {ca}\n")
    });
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {}\ncontexts:\n{}clusters:\n{}users:\n- name: admin\n  user: {{ token: \
         \"{token}\" }}\n",
        CONTEXTS[0].0,
        contexts.concat(),
        clusters.concat(),
    )
}
