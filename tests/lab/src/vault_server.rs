use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::audit::audited;
use crate::run::write_private;
use crate::supervise::Supervised;
use crate::vault::answered;
use crate::{AuditedRequest, Authority, Error, Result, Run, Vault, ports, shared};

/// How clients reach a Vault server.
#[derive(Clone, Debug, Default)]
pub enum Transport {
    /// TLS, with a certificate for `127.0.0.1` and `localhost` from the run's authority.
    #[default]
    Tls,
    /// TLS, with such a certificate from this authority.
    TlsFrom(Authority),
    /// Plain HTTP.
    Plain,
}

/// How far a new Vault server is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seal {
    /// It has never been initialised.
    Uninitialised,
    /// Initialised with one key share, then sealed.
    Sealed,
    /// In service, with KV v2 at `secret/` and KV v1 at `kv1/`.
    #[default]
    Unsealed,
}

/// What sort of Vault server to start. The default is TLS, in memory, unsealed, with an audit log.
#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// How clients reach it.
    pub transport: Transport,
    /// How far it is set up.
    pub seal: Seal,
    /// Keeps its data over [`VaultServer::restart`] (integrated storage); in memory otherwise.
    pub persistent: bool,
    /// After how many seconds without the active node another one takes its place: few for a quick start, more where a busy
    /// machine must not make them change places.
    pub patience: u8,
    /// Writes an audit log, for [`VaultServer::requests`].
    pub audit: bool,
    /// Lets tokens and secrets stand in it as they are.
    pub raw_audit: bool,
    /// Has it find what the pod of a cluster has.
    pub pod: Option<Pod>,
    /// The hosts that it knows by name there, in place of the machine's.
    pub hosts: Option<String>,
    /// More variables of its environment.
    pub environment: Vec<(String, String)>,
}

/// What a pod has of its cluster, below `/var/run/secrets/kubernetes.io/serviceaccount`.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The token of its service account.
    pub token: String,
    /// The cluster's CA, PEM.
    pub ca: String,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            seal: Seal::default(),
            persistent: false,
            patience: 1,
            audit: true,
            raw_audit: false,
            pod: None,
            hosts: None,
            environment: Vec::new(),
        }
    }
}

/// An OpenBao or Vault server. It ends when dropped.
///
/// Its certificate is valid for `127.0.0.1` and `localhost`; [`VaultServer::address`] has the former.
#[derive(Debug)]
pub struct VaultServer {
    // The process goes first, then its folder.
    process: Supervised,
    folder: TempDir,
    run: Run,
    options: VaultOptions,
    client: Vault,
    authority: Authority,
    port: u16,
    keys: Option<Keys>,
    /// How many requests of the audit log were made to set the server up.
    set_up_by: usize,
}

/// The folder of the files that a server in a pod finds.
const POD: &str = "pod";

/// The arguments of `unshare` (util-linux) that run a program where a pod's files are in their place and nowhere else: in a mount
/// namespace of its own, in which somebody who isn't root is taken for root.
fn in_a_pod(files: &Path, program: &Path) -> Vec<std::ffi::OsString> {
    const SCRIPT: &str = r#"mount -t tmpfs tmpfs /run && mkdir -p "$2" && cp "$1"/* "$2" && { [ ! -e "$2/hosts" ] || mount --bind "$2/hosts" /etc/hosts; } && shift 2 && exec "$@""#;
    let place = "/run/secrets/kubernetes.io/serviceaccount";
    ["--mount", "--map-root-user", "sh", "-c", SCRIPT, "sh"]
        .map(Into::into)
        .into_iter()
        .chain([files.into(), place.into(), program.into()])
        .collect()
}

/// Where a server's audit device writes. The nodes of one Vault have the same device: where nobody reads it, one that keeps nothing.
fn audit_file(options: &VaultOptions, folder: &Path) -> Option<PathBuf> {
    match options {
        VaultOptions { audit: true, .. } => Some(folder.join("audit.log")),
        VaultOptions { persistent: true, .. } => Some("/dev/null".into()),
        _ => None,
    }
}

/// What the files of a server's certificate are called.
const CERTIFICATE: &str = "vault";

#[derive(Clone, Debug)]
struct Keys {
    unseal: String,
    root_token: String,
}

impl VaultServer {
    /// Starts a server of a test's own.
    ///
    /// # Panics
    /// When it can't be started, or there is no lab.
    pub fn start(options: &VaultOptions) -> Self {
        answered(Self::start_in(shared().run(), options))
    }

    /// Starts a server in this run.
    pub fn start_in(run: &Run, options: &VaultOptions) -> Result<Self> {
        let mut server = ports::retrying(|| Self::launch(run, options, "lab"))?;
        if options.seal != Seal::Uninitialised {
            server.initialise()?;
            server.mount_kv()?;
            server.enable_audit()?;
        }
        if options.audit && server.audit_log().exists() {
            server.set_up_by = audited(&server.audit_log())?.len();
        }
        if options.seal == Seal::Sealed {
            server.try_seal()?;
        }
        Ok(server)
    }

    fn launch(run: &Run, options: &VaultOptions, node: &str) -> Result<Self> {
        let folder = run.subfolder("vault")?;
        let [port, cluster_port] = ports::free()?;
        let authority = match &options.transport {
            Transport::TlsFrom(authority) => authority.clone(),
            Transport::Tls | Transport::Plain => run.vault_authority().clone(),
        };
        let tls = !matches!(options.transport, Transport::Plain);
        let address = format!("{}://127.0.0.1:{port}", if tls { "https" } else { "http" });
        let mut listener = json!({
            "address": format!("127.0.0.1:{port}"),
            "cluster_address": format!("127.0.0.1:{cluster_port}"),
            "tls_disable": !tls,
        });
        if tls {
            write_private(&folder.path().join("ca.pem"), authority.pem())?;
            let files = authority.server_certificate(folder.path(), CERTIFICATE, &["127.0.0.1", "localhost"])?;
            listener["tls_cert_file"] = json!(files.certificate);
            listener["tls_key_file"] = json!(files.key);
        }
        let storage = if options.persistent {
            let data = folder.path().join("data");
            fs::create_dir_all(&data).map_err(|error| Error::new("can't make the data folder").because(error))?;
            json!({ "raft": { "path": data, "node_id": node, "performance_multiplier": options.patience } })
        } else {
            json!({ "inmem": {} })
        };
        let mut config = json!({
            "listener": [{ "tcp": listener }],
            "storage": storage,
            "api_addr": address,
            "cluster_addr": format!("https://127.0.0.1:{cluster_port}"),
            "log_level": "debug",
            "ui": false,
            // Vault wants to be told with integrated storage; OpenBao has no such field and only warns.
            "disable_mlock": true,
        });
        if let Some(path) = audit_file(options, folder.path()) {
            // OpenBao's way; Vault ignores it, see enable_audit.
            config["audit"] = json!([{ "type": "file", "path": "lab", "options": { "file_path": path, "log_raw": options.raw_audit.to_string() } }]);
        }
        write_private(&folder.path().join("config.json"), &config.to_string())?;
        if let Some(Pod { token, ca }) = &options.pod {
            let files = folder.path().join(POD);
            fs::create_dir(&files)
                .map_err(|error| Error::new("can't make the folder of a pod's files").because(error))?;
            write_private(&files.join("token"), token)?;
            write_private(&files.join("ca.crt"), ca)?;
            if let Some(hosts) = &options.hosts {
                write_private(&files.join("hosts"), hosts)?;
            }
        }
        let process = Self::run_program(run, folder.path(), &options.environment)?;
        let client = Vault::new(&address, if tls { authority.pem() } else { "" }, None)?;
        let (run, options) = (run.clone(), options.clone());
        Ok(Self { process, folder, run, options, client, authority, port, keys: None, set_up_by: 0 })
    }

    fn run_program(run: &Run, folder: &Path, environment: &[(String, String)]) -> Result<Supervised> {
        let mut config = std::ffi::OsString::from("-config=");
        config.push(folder.join("config.json"));
        let pod = folder.join(POD);
        let server = [run.servers().vault.clone().into_os_string(), "server".into(), config];
        // `env` (coreutils) sets what there is to set, and becomes the server.
        let variables = environment.iter().map(|(name, value)| format!("{name}={value}").into());
        let arguments: Vec<std::ffi::OsString> = variables.chain(server).collect();
        let program = Path::new("env");
        let mut process = if pod.exists() {
            let arguments = in_a_pod(&pod, program).into_iter().chain(arguments).collect::<Vec<_>>();
            Supervised::server(run, "vault", folder, Path::new("unshare"), &arguments)?
        } else {
            Supervised::server(run, "vault", folder, program, &arguments)?
        };
        // Its own word that it listens: an answer on the port could come from another server that won a race for it.
        process.wait_until(Duration::from_secs(30), |process| {
            Ok(process.log_of_this_start().contains("server started!").then_some(()))
        })?;
        Ok(process)
    }

    fn initialise(&mut self) -> Result<()> {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let answer = self.client.expect(Method::PUT, "sys/init", Some(&shares))?;
        let field = |value: &Value| {
            value.as_str().map(ToOwned::to_owned).ok_or_else(|| Error::new("sys/init answers without keys"))
        };
        let keys = Keys { unseal: field(&answer["keys"][0])?, root_token: field(&answer["root_token"])? };
        self.client = self.client.with_token(&keys.root_token);
        self.keys = Some(keys);
        self.try_unseal()
    }

    fn try_seal(&mut self) -> Result<()> {
        self.client.expect(Method::PUT, "sys/seal", None)?;
        let client = self.client.clone();
        self.process.wait_until(Duration::from_secs(10), |_| {
            Ok((client.request(Method::GET, "sys/health", None)?.0 == 503).then_some(()))
        })
    }

    fn try_unseal(&mut self) -> Result<()> {
        let key = json!({ "key": self.keys()?.unseal });
        let client = self.client.clone();
        self.process.wait_until(Duration::from_secs(30), |_| {
            // A node that has just joined takes the key only once the active one's data has come; to others it is no news.
            client.request(Method::PUT, "sys/unseal", Some(&key))?;
            let in_service = match client.request(Method::GET, "sys/health", None)?.0 {
                200 => true,
                // A standby is, when it forwards what only the active node knows.
                429 => client.request(Method::GET, "sys/ha-status", None)?.0 == 200,
                _ => false,
            };
            Ok(in_service.then_some(()))
        })
    }

    fn mount_kv(&mut self) -> Result<()> {
        for (mount, version) in [("secret", "2"), ("kv1", "1")] {
            let body = json!({ "type": "kv", "options": { "version": version } });
            self.client.expect(Method::POST, &format!("sys/mounts/{mount}"), Some(&body))?;
        }
        // A new version 2 mount refuses requests for a moment, while it says it upgrades.
        let client = self.client.clone();
        self.process.wait_until(Duration::from_secs(10), |_| {
            Ok((client.request(Method::GET, "secret/config", None)?.0 == 200).then_some(()))
        })
    }

    /// OpenBao takes audit devices from its configuration only, Vault by request only.
    fn enable_audit(&mut self) -> Result<()> {
        let Some(path) = audit_file(&self.options, self.folder.path()) else { return Ok(()) };
        let client = self.client.clone();
        let body =
            json!({ "type": "file", "options": { "file_path": path, "log_raw": self.options.raw_audit.to_string() } });
        self.process.wait_until(Duration::from_secs(10), |_| {
            let (_, devices) = client.request(Method::GET, "sys/audit", None)?;
            if devices["data"].get("lab/").is_some() {
                return Ok(Some(()));
            }
            let (status, _) = client.request(Method::PUT, "sys/audit/lab", Some(&body))?;
            Ok((status == 204).then_some(()))
        })
    }

    fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    fn keys(&self) -> Result<&Keys> {
        self.keys.as_ref().ok_or_else(|| Error::new("this Vault server has never been initialised"))
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.client.address()
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process group of its process, until it is started again: for [`Relay::refuse`](crate::Relay::refuse).
    pub fn process_group(&self) -> u32 {
        self.process.group()
    }

    /// The authority that its certificate is from.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// That authority's certificate in a file, PEM: `VAULT_CACERT`. The file isn't there for plain HTTP.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A client that acts as root, or without a token when the server was never initialised.
    pub fn client(&self) -> &Vault {
        &self.client
    }

    /// The root token.
    ///
    /// # Panics
    /// When the server was never initialised.
    pub fn root_token(&self) -> &str {
        &answered(self.keys()).root_token
    }

    /// The unseal key: the only share, hexadecimal.
    ///
    /// # Panics
    /// When the server was never initialised.
    pub fn unseal_key(&self) -> &str {
        &answered(self.keys()).unseal
    }

    /// Seals it.
    ///
    /// # Panics
    /// When that fails.
    pub fn seal(&mut self) {
        answered(self.try_seal());
    }

    /// Unseals it.
    ///
    /// # Panics
    /// When that fails.
    pub fn unseal(&mut self) {
        answered(self.try_unseal());
    }

    /// A second node of a server that is persistent: it has joined, and stands by.
    ///
    /// # Panics
    /// When it can't be started, or doesn't join.
    #[must_use]
    pub fn start_standby(&self) -> Self {
        answered(self.try_start_standby())
    }

    pub(crate) fn try_start_standby(&self) -> Result<Self> {
        let mut standby = ports::retrying(|| Self::launch(&self.run, &self.options, "standby"))?;
        let join = json!({ "leader_api_addr": self.address(), "leader_ca_cert": self.authority.pem() });
        standby.client.expect(Method::POST, "sys/storage/raft/join", Some(&join))?;
        let keys = self.keys()?.clone();
        standby.client = standby.client.with_token(&keys.root_token);
        standby.keys = Some(keys);
        standby.try_unseal()?;
        Ok(standby)
    }

    /// Waits until it is in service: a standby, until it has found the node that became active.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait_in_service(&mut self) {
        answered(self.try_unseal());
    }

    /// Gives it another certificate, for these names, and restarts it. The client calls it by the first of them; what
    /// calls it by a name that isn't there finds a certificate for others.
    ///
    /// # Panics
    /// When it doesn't come back.
    pub fn reissue(&mut self, names: &[&str]) {
        answered(self.try_reissue(names));
    }

    fn try_reissue(&mut self, names: &[&str]) -> Result<()> {
        self.authority.server_certificate(self.folder.path(), CERTIFICATE, names)?;
        let address = format!("https://{}:{}", names[0], self.port);
        self.client = Vault::new(&address, self.authority.pem(), self.keys.as_ref().map(|keys| &*keys.root_token))?;
        self.try_restart()
    }

    /// Ends its process. What calls it now finds nobody listening.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Ends its process and starts it again on the same port, with its data when it is persistent, and unsealed when it
    /// has been initialised. In memory, it comes back as new: initialised and unsealed again with other keys.
    ///
    /// # Panics
    /// When it doesn't come back.
    pub fn restart(&mut self) {
        answered(self.try_restart());
    }

    fn try_restart(&mut self) -> Result<()> {
        self.process.stop();
        self.process = Self::run_program(&self.run, self.folder.path(), &self.options.environment)?;
        match (self.keys.is_some(), self.options.persistent) {
            (false, _) => Ok(()),
            (true, true) => self.try_unseal(),
            (true, false) => {
                self.client = self.client.without_token();
                self.initialise()?;
                self.mount_kv()?;
                self.enable_audit()
            }
        }
    }

    /// What the server logged, at level debug: the causes that it keeps from its clients.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The requests that the audit log holds since the server was set up, oldest first. Take the length before and after
    /// to count a command's.
    ///
    /// # Panics
    /// When the server has no audit log.
    pub fn requests(&self) -> Vec<AuditedRequest> {
        let mut requests = answered(audited(&self.audit_log()));
        requests.drain(..self.set_up_by.min(requests.len()));
        requests
    }

    /// Its audit log as it is written, for what stands in it in the clear.
    ///
    /// # Panics
    /// When it can't be read.
    pub fn audit_text(&self) -> String {
        answered(
            fs::read_to_string(self.audit_log()).map_err(|error| Error::new("can't read the audit log").because(error)),
        )
    }

    pub(crate) fn check(&mut self) -> Result<()> {
        self.process.check()
    }

    pub(crate) fn state(&self) -> Result<(String, String, PathBuf)> {
        Ok((self.address().to_owned(), self.keys()?.root_token.clone(), self.audit_log()))
    }
}
