//! Connecting to a cluster as kubectl would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{ExecConfig, KubeConfigOptions, Kubeconfig, NamedContext};
use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret;

use super::cause::ClientCause;
use super::client::{Deadlines, check_authorities, client};
use super::way::{self, Way};
use crate::config::{self, ClusterSource};
use crate::error::{Error, Result};
use crate::fix::Kubectl;
use crate::input;
use crate::keys::Authorities;
use crate::settings::{Environment, Proxies, Proxy, is_in_the_clear};

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
        }
    }

    /// Resolves flags and environment as kubectl does: `--kubeconfig`, then `KUBECONFIG` (a list), then
    /// `~/.kube/config`.
    ///
    /// # Errors
    /// When the file that `--kubeconfig` names is not there.
    pub fn resolve(args: &KubeArgs, environment: &Environment, allow_http: bool) -> Result<Self> {
        let (files, named_by) = if let Some(file) = &args.kubeconfig {
            if file.exists() && !file.is_file() {
                let what = if file.is_dir() { "a folder" } else { "a pipe or a device, which can be read only once" };
                return Err(Error::usage(format!("the kubeconfig {} is no file: it is {what}", file.display()))
                    .remedy("write it to a file that only you may read, and name that with --kubeconfig"));
            }
            if !file.is_file() {
                return Err(Error::usage(format!("the kubeconfig {} is not there", file.display()))
                    .remedy("name an existing file with --kubeconfig, or leave the flag away to use KUBECONFIG"));
            }
            (vec![file.clone()], BY_FLAG)
        } else if let Some(list) = environment.get("KUBECONFIG").filter(|list| !list.is_empty()) {
            let paths = std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty());
            // As kubectl does, a file of the list that is not there is passed over.
            (paths.filter(|path| path.is_file()).collect(), "KUBECONFIG")
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
        })
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
        let mut merged = Kubeconfig::default();
        for file in &self.files {
            let next = read_kubeconfig(file)?;
            merged = merged.merge(next).map_err(|error| {
                Error::usage(format!("the kubeconfig files that {} lists don't go together", self.named_by))
                    .because(ClientCause::of_kubeconfig(&error))
            })?;
        }
        Ok(merged)
    }
}

/// A context of the kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenContext {
    /// Its name.
    pub name: String,
    /// What the kubeconfig calls its cluster.
    pub cluster: String,
}

/// The context of that name, else the current one.
fn choose(kubeconfig: &Kubeconfig, wanted: Option<String>) -> Result<&NamedContext> {
    let Some(name) = wanted.or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty()) else {
        return Err(Error::usage("the kubeconfig has no current context")
            .remedy("name one with --context or as `context:` of the cluster")
            .remedy(contexts(kubeconfig)));
    };
    kubeconfig.contexts.iter().find(|context| context.name == name).ok_or_else(|| {
        Error::usage(format!("the kubeconfig has no context {name:?}"))
            .remedy(contexts(kubeconfig))
            .remedy("correct `context:` of the cluster, or give --context or --kubeconfig")
    })
}

fn read_kubeconfig(file: &Path) -> Result<Kubeconfig> {
    let unread = || {
        Error::usage(format!("the kubeconfig {} could not be read", file.display()))
            .remedy(format!("look whether {} accepts it", Kubectl::default().run("config view").shown()))
    };
    input::read_text(file, input::KUBECONFIG).map_err(|error| unread().because(error))?;
    // Once more by the library, which sees to it that what a file names is relative to it.
    Kubeconfig::read_from(file).map_err(|error| unread().because(ClientCause::of_kubeconfig(&error)))
}

/// Stands for a cluster that names no proxy, so that the library doesn't look for one in the environment.
const NO_PROXY_URL: &str = "http://none.invalid";

/// What decides on a proxy for a context: as with kubectl, its cluster's `proxy-url` counts without exception, and else the
/// environment does.
fn proxies(kubeconfig: &mut Kubeconfig, context: &NamedContext, environment: &Proxies) -> Result<Proxies> {
    let name = context.context.as_ref().map(|context| &context.cluster);
    let found = kubeconfig.clusters.iter_mut().find(|cluster| Some(&cluster.name) == name);
    let Some(cluster) = found.and_then(|found| found.cluster.as_mut()) else { return Ok(environment.clone()) };
    let Some(url) = cluster.proxy_url.as_ref().filter(|url| !url.is_empty()) else {
        cluster.proxy_url = Some(NO_PROXY_URL.to_owned());
        return Ok(environment.clone());
    };
    let origin = format!("`proxy-url` of the context {:?} in the kubeconfig", context.name);
    Ok(environment.with(Proxy::parse(url, origin)?))
}

/// Refuses files that a context of a kubeconfig names and that the library would read without end.
fn check_files(kubeconfig: &Kubeconfig, context: &NamedContext) -> Result<()> {
    let Some(context) = &context.context else { return Ok(()) };
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let user = kubeconfig.auth_infos.iter().find(|user| Some(&user.name) == context.user.as_ref());
    let authority = cluster.and_then(|cluster| cluster.cluster.as_ref()?.certificate_authority.as_ref());
    let user = user.and_then(|user| user.auth_info.as_ref());
    let certificates = user.map(|user| [&user.client_certificate, &user.client_key]).into_iter().flatten().flatten();
    let certificates = authority.into_iter().chain(certificates).map(|file| (file, input::CERTIFICATES));
    let token = user.and_then(|user| user.token_file.as_ref()).map(|file| (file, input::SECRET));
    for (file, limit) in certificates.chain(token) {
        // One that isn't there is the library's to complain about.
        let Ok(held) = std::fs::metadata(file) else { continue };
        let refused = |why: String| {
            Error::usage(format!("the file {file} that the kubeconfig names could not be read"))
                .because(Error::usage(why))
                .remedy(format!(
                    "correct the kubeconfig; look whether {} shows the right file",
                    Kubectl::default().run("config view").shown()
                ))
        };
        if !held.is_file() {
            return Err(refused("it is no file".to_owned()));
        }
        if held.len() > limit.bytes as u64 {
            return Err(refused(limit.exceeded().to_string()));
        }
    }
    Ok(())
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
            ClusterSource::InCluster => return Self::in_cluster(settings),
            ClusterSource::Files { .. } | ClusterSource::Issuer { .. } => settings.context.clone(),
        };
        if let Some((name, config)) = wanted.as_ref().and_then(|name| settings.given.get_key_value(name)) {
            return Self::with(config.clone(), name.clone(), settings.proxies.clone(), settings);
        }
        if settings.files.is_empty() && wanted.is_none() && settings.in_pod {
            return Self::in_cluster(settings);
        }
        let mut kubeconfig = settings.kubeconfig()?;
        let chosen = choose(&kubeconfig, wanted)?.clone();
        check_files(&kubeconfig, &chosen)?;
        let name = chosen.name.clone();
        let proxies = proxies(&mut kubeconfig, &chosen, &settings.proxies)?;
        let options = KubeConfigOptions { context: Some(name.clone()), cluster: None, user: None };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
            Error::usage(format!("the context {name:?} of the kubeconfig can't be used"))
                .because(ClientCause::of_kubeconfig(&error))
                .remedy(look(&name))
        })?;
        if let Some(cluster) = config.auth_info.exec.as_mut().and_then(|exec| exec.cluster.as_mut())
            && cluster.proxy_url.as_deref() == Some(NO_PROXY_URL)
        {
            cluster.proxy_url = None;
        }
        Self::with(config, name, proxies, settings)
    }

    fn in_cluster(settings: &KubeSettings) -> Result<Self> {
        let config = kube::Config::incluster().map_err(|error| {
            Error::usage("the configuration says `inCluster`, but this is not a pod with a service account")
                .because(error)
                .remedy("run it in the cluster, or name a kubeconfig `context`")
        })?;
        Self::with(config, way::IN_CLUSTER.to_owned(), settings.proxies.clone(), settings)
    }

    fn with(mut config: kube::Config, name: String, proxies: Proxies, settings: &KubeSettings) -> Result<Self> {
        if settings.impersonate.is_some() {
            config.auth_info.impersonate.clone_from(&settings.impersonate);
        }
        check_token(&config, &name)?;
        check_transport(&config, &name, &proxies, settings)?;
        if let Some(exec) = &mut config.auth_info.exec {
            keep_secrets_from(exec, &settings.secrets);
        }
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let ca = ca_pem(&config);
        let unusable =
            || Error::usage(format!("the context {name:?} of the kubeconfig can't be used")).remedy(look(&name));
        check_authorities(&config).map_err(|error| unusable().because(error))?;
        let client = client(&config, &proxies, DEADLINES, "the kubeconfig's `certificate-authority`")
            .map_err(|error| unusable().because(ClientCause::of_request(&error)))?;
        let way = Way::new(server, name, settings.kubeconfig_flag(), ca.as_deref());
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

/// The client library panics on a token that can't be an HTTP header, such as one with a line break in it.
fn check_token(config: &kube::Config, name: &str) -> Result<()> {
    let token = config.auth_info.token.as_ref().map(ExposeSecret::expose_secret);
    if token.is_some_and(|token| http::HeaderValue::from_str(token).is_err()) {
        return Err(Error::usage(format!("the context {name:?} of the kubeconfig can't be used"))
            .because(Error::usage("its token has characters that can't be sent, such as a line break"))
            .remedy("write the token on one line, without white space around it"));
    }
    Ok(())
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

/// A program that a kubeconfig names for its credentials gets the environment, but not Vault's tokens: it has no use for them.
fn keep_secrets_from(exec: &mut ExecConfig, secrets: &[String]) {
    // What the kubeconfig itself gives it is meant.
    let given = |name: &String| exec.env.iter().flatten().any(|variable| variable.get("name") == Some(name));
    let kept: Vec<String> = secrets.iter().filter(|name| !given(name)).cloned().collect();
    exec.drop_env.get_or_insert_default().extend(kept);
}

/// The authorities of a kubeconfig as PEM. A file that can't be read is the client's to complain about.
fn ca_pem(config: &kube::Config) -> Option<String> {
    if let Some(file) = &config.root_cert_file {
        return input::read_text(file, input::CERTIFICATES).ok();
    }
    let certificates = config.root_cert.clone()?.into_iter().map(CertificateDer::from);
    Some(Authorities::of(certificates).to_pem()).filter(|pem| !pem.is_empty())
}

/// Whether kubectl can use the same context.
fn look(context: &str) -> String {
    format!("look whether {} works", Kubectl::in_context(context).run("version").shown())
}

fn contexts(kubeconfig: &Kubeconfig) -> String {
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    if names.is_empty() { "it has no contexts at all".to_owned() } else { format!("it has: {}", names.join(", ")) }
}
