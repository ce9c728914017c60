//! Connecting to a cluster as kubectl would.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::CertificateDer;

use super::cause::ClientCause;
use super::client::{Deadlines, check_authorities, client};
use super::credentials::KubeCredentials;
use super::kubeconfig::{self, ChosenContext, choose};
use super::way::{self, Way};
use crate::config::{self, ClusterSource};
use crate::error::{Error, Result};
use crate::fix::Kubectl;
use crate::input;
use crate::keys::Authorities;
use crate::settings::{Environment, Proxies, is_in_the_clear};

/// How long to wait for the API server to accept a connection, and for each answer.
const DEADLINES: Deadlines = Deadlines { to_connect: Duration::from_secs(10), to_answer: Duration::from_secs(30) };

/// Where Kubernetes is.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubeArgs {
    /// The kubeconfig file; without it KUBECONFIG, then ~/.kube/config, then the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context to use, in place of the one that the configuration names
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The user to impersonate
    #[arg(long = "as", value_name = "USER")]
    pub impersonate: Option<String>,
}

/// What names a kubeconfig on the command line.
const BY_FLAG: &str = "--kubeconfig";

/// Where the kubeconfig is and what overrides it, resolved once.
#[derive(Debug, Clone)]
pub struct KubeSettings {
    /// The files to merge, and what named them; empty when there are none.
    files: Vec<PathBuf>,
    named_by: &'static str,
    context: Option<String>,
    impersonate: Option<String>,
    in_pod: bool,
    /// Clusters that no kubeconfig names, by context.
    given: BTreeMap<String, kube::Config>,
    /// Whether credentials may go to another machine over plain http.
    allow_http: bool,
    /// The variables with secrets of ours, which are not for programs that a kubeconfig names.
    secrets: Vec<String>,
    /// What the environment says of proxies.
    proxies: Proxies,
    /// What says of a context that nobody verifies its server's certificate.
    unverified: Unverified,
}

/// Says of contexts that nobody verifies their server's certificate: once of each, however often it is used.
#[derive(Clone, Default)]
struct Unverified {
    told: Arc<Mutex<BTreeSet<String>>>,
    tell: Option<fn(&str)>,
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unverified").field(&self.told).finish()
    }
}

impl Unverified {
    fn say(&self, context: &str, server: &str) {
        let Some(tell) = self.tell else { return };
        if self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(context.to_owned()) {
            tell(&format!(
                "warning: the certificate of {server} is not verified (`insecure-skip-tls-verify` of the context {context:?}): whoever is \
                 in between can read the credentials, and answer in the cluster's place with keys of their own"
            ));
        }
    }
}

impl KubeSettings {
    /// Only these clusters, by context: no file and no environment.
    pub fn only(given: BTreeMap<String, kube::Config>) -> Self {
        Self {
            files: Vec::new(),
            named_by: "nothing",
            context: None,
            impersonate: None,
            in_pod: false,
            given,
            allow_http: false,
            secrets: Vec::new(),
            proxies: Proxies::default(),
            unverified: Unverified::default(),
        }
    }

    /// Resolves flags and environment as kubectl does: `--kubeconfig`, then `KUBECONFIG` (a list), then
    /// `~/.kube/config`.
    ///
    /// # Errors
    /// When the file that `--kubeconfig` names is not there.
    pub fn resolve(args: &KubeArgs, environment: &Environment, allow_http: bool) -> Result<Self> {
        let (files, named_by) = if let Some(file) = &args.kubeconfig {
            check_is_file(file)?;
            if !file.is_file() {
                return Err(Error::usage(format!("the kubeconfig {} is not there", file.display()))
                    .remedy("name an existing file with --kubeconfig, or leave the flag away to use KUBECONFIG"));
            }
            (vec![file.clone()], BY_FLAG)
        } else if let Some(list) = environment.get("KUBECONFIG").filter(|list| !list.is_empty()) {
            let paths = std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty());
            // As kubectl does, a file of the list that is not there is passed over.
            let paths: Vec<_> = paths.filter(|path| path.exists()).collect();
            paths.iter().try_for_each(|path| check_is_file(path))?;
            (paths, "KUBECONFIG")
        } else {
            let default = environment.home().map(|home| home.join(".kube/config")).filter(|path| path.is_file());
            (default.into_iter().collect(), "~/.kube/config")
        };
        Ok(Self {
            files,
            named_by,
            context: args.context.clone(),
            impersonate: args.impersonate.clone(),
            in_pod: environment.get("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()),
            given: BTreeMap::new(),
            allow_http,
            secrets: environment.secret_names(),
            proxies: Proxies::of(environment),
            unverified: Unverified::default(),
        })
    }

    /// The same, which says of a context whose server's certificate nobody verifies that it is one.
    #[must_use]
    pub fn telling(mut self, tell: fn(&str)) -> Self {
        self.unverified.tell = Some(tell);
        self
    }

    /// The same, with variables whose values no program that a kubeconfig names is to see.
    #[must_use]
    pub fn withholding(mut self, variables: impl IntoIterator<Item = String>) -> Self {
        self.secrets.extend(variables);
        self
    }

    /// What decides on a proxy for servers that no kubeconfig names.
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// The flags that chose the cluster, as words of a command that should reach the same one.
    pub fn as_flags(&self) -> Vec<String> {
        let context = self.context.iter().flat_map(|context| ["--context".to_owned(), context.clone()]);
        self.kubeconfig_flag().into_iter().chain(context).collect()
    }

    /// `--kubeconfig FILE`, where that names the file: other commands find it only so.
    fn kubeconfig_flag(&self) -> Vec<String> {
        let named = self.files.first().filter(|_| self.named_by == BY_FLAG);
        named.into_iter().flat_map(|file| [BY_FLAG.to_owned(), file.display().to_string()]).collect()
    }

    /// Refuses a `--context` for clusters of which several have one: it can't stand for all of them.
    ///
    /// # Errors
    /// Wrong usage, in that case.
    pub fn check_override_for<'a>(&self, clusters: impl Iterator<Item = &'a config::Cluster>) -> Result<()> {
        let with_context = clusters.filter(|cluster| matches!(cluster.source, ClusterSource::Context(_)));
        match &self.context {
            Some(context) if with_context.count() > 1 => {
                Err(Error::usage(format!("--context {context} can't stand for several clusters at once"))
                    .remedy("leave --context away, or use a configuration with one cluster"))
            }
            _ => Ok(()),
        }
    }

    /// The context that a command works with when no configuration names one: `--context`, else the current one.
    ///
    /// # Errors
    /// When there is no kubeconfig, or no such context in it.
    pub fn chosen_context(&self) -> Result<ChosenContext> {
        let kubeconfig = self.kubeconfig()?;
        let context = choose(&kubeconfig, self.context.clone())?;
        let cluster = context.context.as_ref().map(|context| context.cluster.clone()).filter(|name| !name.is_empty());
        Ok(ChosenContext { name: context.name.clone(), cluster: cluster.unwrap_or_else(|| context.name.clone()) })
    }

    fn kubeconfig(&self) -> Result<Kubeconfig> {
        if self.files.is_empty() {
            return Err(Error::usage(format!("there is no kubeconfig: {} names no file that exists", self.named_by))
                .remedy("set KUBECONFIG or give --kubeconfig FILE")
                .remedy("without a way to the cluster, give its `issuer` and `jwksFile` in the configuration"));
        }
        kubeconfig::read_all(&self.files, self.named_by)
    }
}

/// A way to one cluster's API server.
#[derive(Clone)]
pub struct Connection {
    client: kube::Client,
    /// The CA that the kubeconfig names, PEM, with whatever else stands in its file.
    ca: Option<String>,
    way: Way,
    /// What decides on a proxy on the way.
    proxies: Proxies,
}

impl Connection {
    /// Connects to what the configuration names; no request is sent yet.
    ///
    /// # Errors
    /// When there is no kubeconfig, no such context, or what it holds can't be used.
    pub async fn open(source: &ClusterSource, settings: &KubeSettings) -> Result<Self> {
        let wanted = match source {
            ClusterSource::Context(context) => settings.context.clone().or_else(|| context.clone()),
            ClusterSource::InCluster => return Self::in_cluster(settings).await,
            ClusterSource::Files { .. } | ClusterSource::Issuer { .. } => settings.context.clone(),
        };
        if let Some((name, config)) = wanted.as_ref().and_then(|name| settings.given.get_key_value(name)) {
            return Self::with(config.clone(), name.clone(), settings.proxies.clone(), settings).await;
        }
        if settings.files.is_empty() && wanted.is_none() && settings.in_pod {
            return Self::in_cluster(settings).await;
        }
        let mut kubeconfig = settings.kubeconfig()?;
        let chosen = choose(&kubeconfig, wanted)?.clone();
        let name = chosen.name.clone();
        let unusable = |error| {
            Error::usage(format!("the context {name:?} of the kubeconfig can't be used"))
                .because(error)
                .remedy(look(&name))
        };
        let mut named = kubeconfig::named(&mut kubeconfig, &chosen).map_err(unusable)?;
        kubeconfig::check_files(&named)?;
        if let Some(cluster) = &mut named.cluster {
            kubeconfig::check_cluster(cluster).map_err(unusable)?;
        }
        let proxies = kubeconfig::proxies(named.cluster, &name, &settings.proxies)?;
        let options = KubeConfigOptions { context: Some(name.clone()), cluster: None, user: None };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
            Error::usage(format!("the context {name:?} of the kubeconfig can't be used"))
                .because(ClientCause::of_kubeconfig(&error))
                .remedy(look(&name))
        })?;
        if let Some(cluster) = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut()) {
            kubeconfig::without_stand_in(&mut cluster.proxy_url);
        }
        Self::with(config, name, proxies, settings).await
    }

    async fn in_cluster(settings: &KubeSettings) -> Result<Self> {
        let config = kube::Config::incluster().map_err(|error| {
            Error::usage("the configuration says `inCluster`, but this is not a pod with a service account")
                .because(error)
                .remedy("run it in the cluster, or name a kubeconfig `context`")
        })?;
        Self::with(config, way::IN_CLUSTER.to_owned(), settings.proxies.clone(), settings).await
    }

    async fn with(mut config: kube::Config, name: String, proxies: Proxies, settings: &KubeSettings) -> Result<Self> {
        if settings.impersonate.is_some() {
            config.auth_info.impersonate.clone_from(&settings.impersonate);
        }
        check_transport(&config, &name, &proxies, settings)?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let ca = ca_pem(&config);
        let what = format!("the context {name:?} of the kubeconfig can't be used");
        let unusable = || Error::usage(what.clone()).remedy(look(&name));
        check_authorities(&config).map_err(|error| unusable().because(error))?;
        let way = Way::new(server, name.clone(), settings.kubeconfig_flag(), ca.as_deref());
        let way = way.acting_as(settings.impersonate.clone());
        let credentials = KubeCredentials::of(&config.auth_info, &settings.secrets, &way.kubectl()).await;
        let credentials = credentials.map_err(|fault| fault.told(what.clone()).remedy(look(&name)))?;
        let client = client(&config, &credentials, &proxies, DEADLINES, "the kubeconfig's `certificate-authority`")
            .map_err(|error| unusable().because(ClientCause::of_request(&error)))?;
        if config.accept_invalid_certs {
            settings.unverified.say(&name, way.server());
        }
        Ok(Self { client, ca, way, proxies })
    }

    /// The API server's URL, without a slash at its end.
    pub fn server(&self) -> &str {
        self.way.server()
    }

    /// The name of the kubeconfig context, or `in-cluster`.
    pub fn name(&self) -> &str {
        self.way.name()
    }

    /// What there is to say of it.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// The CA of the API server as PEM; `None` where the kubeconfig leaves that to the system.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// What decides on a proxy between here and a URL: on the way to the API server itself, the kubeconfig's counts.
    pub(crate) fn proxies_to(&self, url: &str) -> Proxies {
        let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
        if origin(url).is_some_and(|there| Some(there) == origin(self.server())) {
            self.proxies.clone()
        } else {
            self.proxies.of_environment()
        }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }
}

/// Refuses what is there and can't be read twice.
fn check_is_file(path: &Path) -> Result<()> {
    if !path.exists() || path.is_file() {
        return Ok(());
    }
    let what = if path.is_dir() { "a folder" } else { "a pipe or a device, which can be read only once" };
    Err(Error::usage(format!("the kubeconfig {} is no file: it is {what}", path.display()))
        .remedy("write it to a file that only you may read, and name that with --kubeconfig"))
}

/// Refuses to send a kubeconfig's credentials to another machine in the clear.
fn check_transport(config: &kube::Config, name: &str, proxies: &Proxies, settings: &KubeSettings) -> Result<()> {
    let user = &config.auth_info;
    let sends = user.token.is_some()
        || user.token_file.is_some()
        || user.password.is_some()
        || user.exec.is_some()
        || user.auth_provider.is_some();
    let server = config.cluster_url.to_string();
    let in_the_clear = url::Url::parse(&server).is_ok_and(|url| is_in_the_clear(&url, proxies));
    if settings.allow_http || !sends || !in_the_clear {
        return Ok(());
    }
    Err(Error::usage(format!("the context {name:?} of the kubeconfig sends its credentials to {server} in the clear"))
        .because(Error::usage("whoever is in between could read them and use them"))
        .remedy("write the https URL of the API server into the kubeconfig")
        .remedy("add --allow-http if nobody can be in between"))
}

/// The authorities of a kubeconfig as PEM. A file that can't be read is the client's to complain about.
fn ca_pem(config: &kube::Config) -> Option<String> {
    if let Some(file) = &config.root_cert_file {
        return input::read_pem(file).ok();
    }
    let certificates = config.root_cert.clone()?.into_iter().map(CertificateDer::from);
    Some(Authorities::of(certificates).to_pem()).filter(|pem| !pem.is_empty())
}

/// Whether kubectl can use the same context.
fn look(context: &str) -> String {
    format!("look whether {} works", Kubectl::in_context(context).run("version").shown())
}
