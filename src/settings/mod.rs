//! Where Vault is and how it is reached: flags, environment and file, resolved once, each value with its origin.
//!
//! [`VaultArgs`] is what was typed, [`Environment`] what the process was given, the `vault` section what the file says;
//! [`VaultSettings::resolve`] makes one answer of the three and refuses contradictions in which a token could go to the
//! wrong server or a role into the wrong namespace. The variables are those of Vault's and OpenBao's own CLI
//! (`api/client.go` of both).

mod address;
mod environment;
mod hand_on;
mod login;
mod no_proxy;
mod proxies;
mod secret;
mod token;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub(crate) use self::address::{is_loopback, show};
pub use self::environment::Environment;
pub use self::hand_on::{HandOn, Programs};
pub use self::login::{LoginArgs, LoginIdentity, LoginMethod, OperatorLogin, Proof};
pub use self::proxies::{Credentials, Protocol, Proxies, Proxy};
pub(crate) use self::secret::{in_file, in_variable};
use crate::config::VaultSection;
use crate::error::{Error, Result};
use crate::fix::either_shows;

/// How long an answer may take unless something else is said; the default of Vault's CLI.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a request is tried again unless `VAULT_MAX_RETRIES` says otherwise; the default of Vault's API client.
const MAX_RETRIES: u32 = 2;

/// Where a value came from, as an error or a report names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// A file that the user named, and which part of it.
    File {
        /// The file.
        path: PathBuf,
        /// The field in it, or what it holds.
        what: &'static str,
    },
    /// A file in the home directory.
    Home(&'static str),
    /// A token helper.
    Helper(PathBuf),
    /// Standard input.
    StandardInput,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Home(name) => write!(f, "~/{name}"),
            Self::Helper(path) => write!(f, "the token helper {}", path.display()),
            Self::StandardInput => f.write_str("standard input"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// How to reach Vault.
///
/// What is not said here comes from the configuration file and from the environment, with the variables of Vault's
/// and OpenBao's own CLI: VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT,
/// VAULT_CLIENT_KEY, VAULT_TLS_SERVER_NAME, VAULT_SKIP_VERIFY, VAULT_CLIENT_TIMEOUT, VAULT_MAX_RETRIES and
/// VAULT_PROXY_ADDR, each also as BAO_…. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are for Vault and clusters alike.
// Clap's `env` is not used: a BAO_ variable that is present but empty has to win.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the doc comments are help texts")]
#[command(next_help_heading = "Vault")]
pub struct VaultArgs {
    /// Address of Vault, such as https://vault.example.internal:8200
    ///
    /// Decides also where the configuration file and VAULT_ADDR name different servers, which is an error otherwise.
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,

    /// Namespace of Vault to work in; "" is the root namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// PEM file with the CA certificates that may have signed Vault's
    ///
    /// Without it, and without VAULT_CACERT, VAULT_CACERT_BYTES and VAULT_CAPATH, those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,

    /// File with the Vault token, or - for standard input
    ///
    /// Without it the token comes from VAULT_TOKEN, from the token helper that ~/.vault names, or from ~/.vault-token,
    /// where `vault login` puts it.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Allow http:// to a host other than this one: the token then travels unencrypted
    #[arg(long)]
    pub allow_http: bool,

    /// How long one answer of Vault may take, such as 90s or 2m [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,

    /// The login that gives a token.
    #[command(flatten)]
    pub login: LoginArgs,
}

/// Everything about the TLS connection. Files are read when the connection is made.
#[derive(Debug, Clone, Default)]
pub struct TlsSettings {
    /// A PEM file with the CAs that replace the system's (`VAULT_CACERT`).
    pub ca_cert: Option<Setting<PathBuf>>,
    /// PEM text with the CAs that replace the system's (`VAULT_CACERT_BYTES`); `ca_cert` goes first.
    pub ca_cert_bytes: Option<Setting<String>>,
    /// A directory of such files, and of directories (`VAULT_CAPATH`); the other two go first.
    pub ca_path: Option<Setting<PathBuf>>,
    /// A PEM file with the client's certificate chain (`VAULT_CLIENT_CERT`); never without `client_key`.
    pub client_cert: Option<Setting<PathBuf>>,
    /// A PEM file with its private key (`VAULT_CLIENT_KEY`).
    pub client_key: Option<Setting<PathBuf>>,
    /// The server's certificate is not verified (`VAULT_SKIP_VERIFY`).
    pub skip_verify: Option<Setting<bool>>,
    /// The name that is asked for (SNI) and that the certificate must have (`VAULT_TLS_SERVER_NAME`).
    pub server_name: Option<Setting<String>>,
}

/// How Vault is reached, resolved.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Where it is; with a path where Vault is behind one, never with a slash at its end.
    pub address: Setting<Url>,
    /// The namespace, without slashes at its ends; `None` is the root namespace.
    pub namespace: Option<Setting<String>>,
    /// Whether a flag chose the root namespace, whatever the environment says.
    pub root_by_flag: bool,
    /// Whether a variable of OpenBao's that is empty says so, over one of Vault's that names another.
    pub root_by_bao: bool,
    /// The TLS connection.
    pub tls: TlsSettings,
    /// The operator's token.
    pub token: Option<Setting<SecretString>>,
    /// The login that gives one; never beside a token.
    pub login: Option<OperatorLogin>,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How often a request is sent again after the first try failed.
    pub max_retries: u32,
    /// Whether http is allowed to other hosts.
    pub allow_http: bool,
    /// What decides on a proxy: `VAULT_PROXY_ADDR` or `VAULT_HTTP_PROXY` for Vault alone, else the variables for all servers.
    pub proxies: Proxies,
    /// Vault's own CLI, as far as it is there.
    pub programs: Programs,
}

impl VaultSettings {
    /// Makes one answer of flags, environment and the file's `vault` section (with the file's path).
    ///
    /// Reads the file of the token, or of what a login presents, or runs the token helper; nothing else is read and nothing
    /// is sent.
    ///
    /// # Errors
    /// No address; an address or namespace in the file that isn't the environment's; http to another host; a variable
    /// that can't be understood; a token that can't be one.
    pub fn resolve(args: &VaultArgs, environment: &Environment, file: Option<(&VaultSection, &Path)>) -> Result<Self> {
        let address = resolve_address(args, environment, file)?;
        let proxies = Proxies::for_vault(environment)?;
        if !args.allow_http && is_in_the_clear(&address.value, &proxies) {
            return Err(Error::usage(format!(
                "the Vault address of {} is http to another host: the token would travel unencrypted",
                address.origin
            ))
            .remedy("use https, or allow it with --allow-http"));
        }
        let login = login::resolve(&args.login, args.token_file.as_deref(), environment)?;
        let token = match &login {
            Some(_) => None,
            None => token::find(args.token_file.as_deref(), environment, show(&address.value))?,
        };
        let namespace = resolve_namespace(args, environment, file)?;
        Ok(Self {
            root_by_flag: args.namespace.is_some() && namespace.is_none(),
            root_by_bao: namespace.is_none()
                && environment.get("BAO_NAMESPACE").is_some()
                && environment.text("VAULT_NAMESPACE").is_some(),
            namespace,
            tls: resolve_tls(args, environment, file)?,
            token,
            login,
            timeout: resolve_timeout(args, environment)?,
            max_retries: resolve_max_retries(environment)?,
            allow_http: args.allow_http,
            proxies,
            programs: Programs::on_path(environment),
            address,
        })
    }

    /// Checks that there is a token, or a login that gives one.
    ///
    /// # Errors
    /// When there is none, with the places where one would be found.
    pub fn require_token(&self) -> Result<()> {
        if self.token.is_some() || self.login.is_some() {
            return Ok(());
        }
        Err(Error::usage(format!("there is no token for Vault at {}", show(&self.address.value)))
            .remedy(format!(
                "log in with {}, set VAULT_TOKEN, or name a file with --token-file",
                self.hand_on().cli.run("login").shown()
            ))
            .remedy("or let this run log in by itself, as in CI: --login jwt, kubernetes or approle"))
    }

    /// What works but should be known: each a sentence to show before anything is sent.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(Setting { value: true, origin }) = &self.tls.skip_verify {
            warnings.push(format!(
                "Vault's certificate is not verified ({origin} is set): whoever is in between can read the token and answer \
                 in Vault's place"
            ));
        }
        if is_in_the_clear(&self.address.value, &self.proxies) {
            warnings.push(format!("the token travels unencrypted to {}", show(&self.address.value)));
        }
        warnings
    }
}

/// Whether what is sent to an address goes over a network unencrypted: also to this machine, where a proxy elsewhere is for all requests.
pub(crate) fn is_in_the_clear(address: &Url, proxies: &Proxies) -> bool {
    address.scheme() == "http" && (proxies.lead_away() || !is_loopback(address))
}

type File<'a> = Option<(&'a VaultSection, &'a Path)>;

fn resolve_address(args: &VaultArgs, environment: &Environment, file: File<'_>) -> Result<Setting<Url>> {
    if let Some(text) = &args.address {
        let origin = Origin::Flag("--address");
        return Ok(Setting::new(address::parse(text, &origin)?, origin));
    }
    let from_environment = match environment.vault_text("ADDR") {
        Some((name, text)) => {
            let origin = Origin::Variable(name);
            Some(Setting::new(address::parse(&text, &origin)?, origin))
        }
        None => None,
    };
    let from_file = match file {
        Some((VaultSection { address: Some(url), .. }, path)) => {
            let origin = Origin::File { path: path.to_owned(), what: "vault.address" };
            Some(Setting::new(address::check(url.clone(), &origin)?, origin))
        }
        _ => None,
    };
    match (from_environment, from_file) {
        (Some(variable), Some(file)) if !address::same(&variable.value, &file.value) => {
            let (here, there) = (show(&variable.value), show(&file.value));
            Err(Error::usage(format!(
                "{} names Vault at {here}, but {} names {there}: the token goes to neither",
                variable.origin, file.origin
            ))
            .remedy(format!("make them agree, or decide with --address {here} or --address {there}")))
        }
        (Some(variable), _) => Ok(variable),
        (None, Some(file)) => Ok(file),
        (None, None) => Err(Error::usage("nobody says where Vault is")
            .remedy("set vault.address in the configuration file, VAULT_ADDR in the environment, or pass --address")),
    }
}

fn resolve_namespace(args: &VaultArgs, environment: &Environment, file: File<'_>) -> Result<Option<Setting<String>>> {
    if let Some(text) = &args.namespace {
        return namespace(text, Origin::Flag("--namespace")).map(not_root);
    }
    let from_environment =
        environment.vault_text("NAMESPACE").map(|(name, text)| namespace(&text, Origin::Variable(name))).transpose()?;
    let from_file = match file {
        // `namespace: ""` names none, so that a file can carry the line and leave the choice to the environment.
        Some((VaultSection { namespace: Some(text), .. }, path)) if !text.is_empty() => {
            Some(namespace(text, Origin::File { path: path.to_owned(), what: "vault.namespace" })?)
        }
        _ => None,
    };
    match (from_environment, from_file) {
        (Some(variable), Some(file)) if variable.value != file.value => {
            let name = |setting: &Setting<String>| match setting.value.as_str() {
                "" => "the root namespace".to_owned(),
                name => format!("the namespace {name}"),
            };
            Err(Error::usage(format!(
                "{} names {} of Vault, but {} names {}",
                variable.origin,
                name(&variable),
                file.origin,
                name(&file)
            ))
            .remedy(format!(
                "make them agree, take vault.namespace out of the file, or decide with --namespace {:?} or --namespace {:?}",
                variable.value, file.value
            )))
        }
        (Some(variable), _) => Ok(not_root(variable)),
        (None, file) => Ok(file.and_then(not_root)),
    }
}

/// A namespace's path without slashes at its ends. `root` is the name that the servers give to the one without a name.
fn namespace(text: &str, origin: Origin) -> Result<Setting<String>> {
    let path = text.trim().trim_matches('/');
    let path = if path == "root" { "" } else { path };
    if !path.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Error::usage(format!(
            "the namespace of {origin} contains white space or characters that none can have"
        ))
        .remedy(format!("write it as {} shows it, such as team/prod", either_shows("namespace list"))));
    }
    Ok(Setting::new(path.to_owned(), origin))
}

fn not_root(setting: Setting<String>) -> Option<Setting<String>> {
    (!setting.value.is_empty()).then_some(setting)
}

fn resolve_tls(args: &VaultArgs, environment: &Environment, file: File<'_>) -> Result<TlsSettings> {
    let path = |suffix: &str| {
        environment.vault(suffix).map(|(name, value)| Setting::new(PathBuf::from(value), Origin::Variable(name)))
    };
    let mut tls = TlsSettings {
        client_cert: path("CLIENT_CERT"),
        client_key: path("CLIENT_KEY"),
        server_name: environment
            .vault_text("TLS_SERVER_NAME")
            .map(|(name, value)| server_name(&value, Origin::Variable(name)))
            .transpose()?,
        skip_verify: environment.vault_text("SKIP_VERIFY").map(|(name, value)| boolean(&value, name)).transpose()?,
        ..TlsSettings::default()
    };
    if let Some(path) = &args.ca_cert {
        tls.ca_cert = Some(Setting::new(path.clone(), Origin::Flag("--ca-cert")));
    } else {
        tls.ca_cert = path("CACERT");
        tls.ca_cert_bytes =
            environment.vault_text("CACERT_BYTES").map(|(name, text)| Setting::new(text, Origin::Variable(name)));
        tls.ca_path = path("CAPATH");
        let none = tls.ca_cert.is_none() && tls.ca_cert_bytes.is_none() && tls.ca_path.is_none();
        if let (true, Some((VaultSection { ca_cert: Some(ca_cert), .. }, path))) = (none, file) {
            let origin = Origin::File { path: path.to_owned(), what: "vault.caCert" };
            tls.ca_cert = Some(Setting::new(path.parent().unwrap_or(Path::new("")).join(ca_cert), origin));
        }
    }
    let (given, missing) = match (&tls.client_cert, &tls.client_key) {
        (Some(cert), None) => (&cert.origin, "VAULT_CLIENT_KEY"),
        (None, Some(key)) => (&key.origin, "VAULT_CLIENT_CERT"),
        _ => return Ok(tls),
    };
    Err(Error::usage(format!("{given} is set without {missing}"))
        .remedy("a client certificate needs both, the certificate and its key"))
}

fn server_name(text: &str, origin: Origin) -> Result<Setting<String>> {
    match url::Host::parse(text.trim()) {
        Ok(url::Host::Domain(name)) => Ok(Setting::new(name, origin)),
        _ => Err(Error::usage(format!("{origin} is not a DNS name: {text:?}"))
            .remedy("set it to a name that is in Vault's certificate")),
    }
}

fn boolean(text: &str, name: String) -> Result<Setting<bool>> {
    match values::parse_bool(text) {
        Some(value) => Ok(Setting::new(value, Origin::Variable(name))),
        None => Err(Error::usage(format!("{name} is neither true nor false: {text:?}")).remedy("write true or false")),
    }
}

fn resolve_timeout(args: &VaultArgs, environment: &Environment) -> Result<Duration> {
    let (origin, text) = match (&args.timeout, environment.vault_text("CLIENT_TIMEOUT")) {
        (Some(text), _) => (Origin::Flag("--timeout"), text.clone()),
        (None, Some((name, text))) => (Origin::Variable(name), text),
        (None, None) => return Ok(TIMEOUT),
    };
    match values::parse_duration(&text) {
        Some(Duration::ZERO) => Ok(TIMEOUT),
        Some(timeout) => Ok(timeout),
        None => Err(Error::usage(format!("{origin} is not a duration: {text:?}")).remedy("write seconds, 90s or 2m")),
    }
}

fn resolve_max_retries(environment: &Environment) -> Result<u32> {
    let Some((name, text)) = environment.vault_text("MAX_RETRIES") else { return Ok(MAX_RETRIES) };
    text.trim().parse().map_err(|_| {
        Error::usage(format!("{name} is not a number of retries: {text:?}")).remedy("write a whole number, such as 2")
    })
}

#[cfg(test)]
mod tests;
