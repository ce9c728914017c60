//! Arguments that several commands have, and what they become.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::Context;
use crate::cluster::{Connection, KubeArgs, KubeSettings, ServiceAccountToken};
use crate::config::{ClusterSource, Config, VaultSection};
use crate::error::{Error, Result};
use crate::fix::{Kubectl, vaultk8s};
use crate::input::{self, InputKind};
use crate::keys::KeyDecisions;
use crate::limit::Limit;
use crate::pipeline::{Approval, Consent, Scope, Session};
use crate::settings::{OperatorLogin, VaultArgs, VaultSettings};
use crate::ui::Ui;
use crate::vault::Client;

/// The configuration's files.
#[derive(Debug, clap::Args)]
pub(super) struct FileArgs {
    /// The configuration file, or standard input for `-`; may be repeated
    ///
    /// Several are one configuration: names are unique in all of them, and `owner`, `vault` and `kv` stand in one, or the same in all.
    /// A folder stands for its .yaml and .yml files.
    #[arg(short, long, value_name = "FILE", default_value = "vaultk8s.yaml")]
    pub(super) file: Vec<PathBuf>,
}

/// The arguments of every command that works from the configuration file.
#[derive(Debug, clap::Args)]
pub(super) struct SessionArgs {
    #[command(flatten)]
    files: FileArgs,
    /// How many requests to Vault or a cluster may be under way at once
    #[arg(long, value_name = "N", default_value = "8")]
    parallelism: NonZeroUsize,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    kube: KubeArgs,
}

impl SessionArgs {
    /// The configuration's files, as they were named.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files.file
    }

    /// A token of a consumer's that is brought along to prove logins with.
    pub(super) fn brought(&self, context: &Context, file: &Path) -> Result<ServiceAccountToken> {
        let is_stdin = |path: &Path| path == Path::new("-");
        if is_stdin(file) && self.vault.token_file.as_deref().is_some_and(is_stdin) {
            return Err(Error::usage("--jwt-file and --token-file both name standard input, which is there once")
                .remedy("write one of the two to a file that only you may read"));
        }
        ServiceAccountToken::parse(read_secret(&context.ui, Some(file))?)
    }

    /// Reads the configuration and the environment, and narrows the run as `narrow` does. Nothing is asked of Vault or a
    /// cluster yet, but a login, which comes last: wrong usage needs none.
    pub(super) async fn session(
        &self,
        context: &Context,
        narrow: impl FnOnce(&mut Session) -> Result<()>,
    ) -> Result<Session> {
        let config = read_config(&context.ui, self.files())?;
        warn_of(&context.ui, &config);
        let parallelism = self.parallelism.get();
        let mut access = Access::required(context, &self.vault, Some((&config.vault, &config.vault.file)))?;
        access.client = access.client.with_parallelism(parallelism);
        let mut session = Session {
            client: access.client.clone(),
            kube: kube_settings(context, &self.kube, self.vault.allow_http)?.withholding(config.variables()),
            config,
            parallelism,
            scope: Scope::default(),
            operator: context.operator.clone(),
            interrupt: context.interrupt.clone(),
            brought: None,
        };
        narrow(&mut session)?;
        session.client = access.enter(context).await?;
        Ok(session)
    }
}

/// What a command that only looks needs.
pub(super) struct Looker {
    /// The configuration, where one is wanted.
    pub(super) config: Option<Config>,
    /// The way to Vault, with the operator's token where there is one.
    pub(super) access: Access,
    /// The way to the clusters.
    pub(super) kube: KubeSettings,
    /// How many requests may be under way at once.
    pub(super) parallelism: usize,
}

impl SessionArgs {
    /// Reads the configuration, where it is wanted, and the environment. The operator's token may be missing: then less is
    /// seen.
    pub(super) fn looker(&self, context: &Context, with_config: bool) -> Result<Looker> {
        let config = if with_config { Some(read_config(&context.ui, self.files())?) } else { None };
        let section = config.as_ref().map(|config| (&config.vault, config.vault.file.as_path()));
        let access = Access::optional(context, &self.vault, section)?;
        let variables = config.iter().flat_map(Config::variables);
        let kube = kube_settings(context, &self.kube, self.vault.allow_http)?.withholding(variables);
        Ok(Looker { access, config, kube, parallelism: self.parallelism.get() })
    }
}

/// Which part of the configuration a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct ScopeArgs {
    /// Only this cluster of the configuration, and the policies that its roles name; may be repeated
    #[arg(long = "cluster", value_name = "NAME", value_delimiter = ',')]
    clusters: Vec<String>,
    /// Delete what the configuration doesn't name any more
    ///
    /// That is: roles and policies that the file's `owner` wrote; without an owner, policies whose mark names mounts of the file
    /// alone; and of mounts with `exclusive: true` all roles that no other owner wrote. Never a mount, and policies only where no other
    /// role of these mounts names them.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    keys: KeyArgs,
}

impl ScopeArgs {
    /// Narrows a session.
    pub(super) fn narrow(&self, session: &mut Session) -> Result<()> {
        session.scope.prune = self.prune;
        session.scope.keys = self.keys.decisions()?;
        session.select(&self.clusters)
    }
}

/// What the user agrees to beforehand.
#[derive(Debug, clap::Args)]
pub(super) struct ConsentArgs {
    /// Don't ask: change, replace what a mount trusts, and delete
    ///
    /// What another configuration, or somebody else, wrote is not changed by it: that takes `--approve take-over`.
    #[arg(short, long)]
    yes: bool,
    /// Allow this kind of change without asking; may be repeated
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    approve: Vec<Approval>,
}

impl ConsentArgs {
    /// What it is.
    pub(super) fn given(&self) -> Consent {
        Consent { yes: self.yes, approved: self.approve.clone() }
    }
}

/// What the operator decides about single keys.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// Stop trusting this pinned key at once, though its tokens may still live; may be repeated
    ///
    /// By its kid or its fingerprint: for a key that leaked, once the cluster doesn't publish it any more, and for one that
    /// somebody else pinned.
    // A kid is base64url, so it may begin with a hyphen.
    #[arg(long, value_name = "KID", allow_hyphen_values = true)]
    forget_key: Vec<String>,
    /// Keep this pinned key for `keyRetention`, though the cluster was never seen to publish it; may be repeated
    ///
    /// By its kid or its fingerprint: for a key of the cluster's own that was rotated out before anything was recorded, as
    /// on a mount that an earlier version or somebody else set up.
    #[arg(long, value_name = "KID", allow_hyphen_values = true)]
    keep_key: Vec<String>,
}

impl KeyArgs {
    /// What the operator decided.
    pub(super) fn decisions(&self) -> Result<KeyDecisions> {
        if let Some(both) = self.forget_key.iter().find(|kid| self.keep_key.contains(kid)) {
            return Err(Error::usage(format!("{both} is to be kept and to be forgotten"))
                .remedy("name it with one of --keep-key and --forget-key"));
        }
        Ok(KeyDecisions { keep: self.keep_key.clone(), forget: self.forget_key.clone() })
    }
}

/// The way to Vault before anything was asked, and the login that is to be made there.
pub(super) struct Access {
    client: Client,
    login: Option<OperatorLogin>,
}

impl Access {
    /// For a command that needs the operator's token.
    pub(super) fn required(context: &Context, args: &VaultArgs, file: Option<(&VaultSection, &Path)>) -> Result<Self> {
        let settings = vault_settings(context, args, file)?;
        settings.require_token()?;
        Self::by(context, settings)
    }

    /// For a command that uses the operator's token only where there is one.
    pub(super) fn optional(context: &Context, args: &VaultArgs, file: Option<(&VaultSection, &Path)>) -> Result<Self> {
        Self::by(context, vault_settings(context, args, file)?)
    }

    fn by(context: &Context, settings: VaultSettings) -> Result<Self> {
        let client = Client::new(&settings)?;
        client.on_wait(context.ui.tells_of_waiting());
        let (interrupt, hurried) = (context.interrupt.clone(), client.clone());
        tokio::spawn(async move {
            interrupt.came().await;
            hurried.hurry();
        });
        Ok(Self { client, login: settings.login })
    }

    /// The client with the operator's token, from a login where one was asked for, once it is seen that what is meant for a namespace
    /// goes there.
    pub(super) async fn enter(self, context: &Context) -> Result<Client> {
        self.client.require_namespaces().await?;
        self.enter_to_look(context).await
    }

    /// The same, wherever it leads: a check tells of it.
    pub(super) async fn enter_to_look(self, context: &Context) -> Result<Client> {
        let Some(login) = &self.login else { return Ok(self.client) };
        let operator = context.operator.clone();
        // What can't be ended in time ends by itself, and there is nobody left to tell.
        let client = self.client.clone();
        context.interrupt.before_end(async move {
            client.hurry();
            drop(operator.end().await);
        });
        context.operator.log_in(&context.ui, &self.client, login).await
    }
}

/// The way to clusters.
pub(super) fn kube_settings(context: &Context, args: &KubeArgs, allow_http: bool) -> Result<KubeSettings> {
    Ok(KubeSettings::resolve(args, &context.environment, allow_http)?.telling(Ui::interject))
}

fn vault_settings(context: &Context, args: &VaultArgs, file: Option<(&VaultSection, &Path)>) -> Result<VaultSettings> {
    let settings = VaultSettings::resolve(args, &context.environment, file)?;
    for warning in settings.warnings() {
        context.ui.warn(&warning);
    }
    Ok(settings)
}

/// Reads a token from a file, or from standard input for `-` and where there is none.
pub(super) fn read_secret(ui: &Ui, file: Option<&Path>) -> Result<SecretString> {
    let (text, origin) = read_text(ui, file.unwrap_or(Path::new("-")), input::SECRET)?;
    if text.trim().is_empty() {
        return Err(Error::failed(format!("{origin} holds no token")).remedy(format!(
            "pipe one into it: {}",
            Kubectl::default().run("create token NAME").pipe(&vaultk8s("login … --jwt-file -")).shown()
        )));
    }
    input::check(&text, InputKind::Token).map_err(|mistaken| mistaken.told_of(&origin))?;
    Ok(SecretString::from(text.trim()))
}

/// Says what a configuration's files should be looked at for.
pub(super) fn warn_of(ui: &Ui, config: &Config) {
    for warning in &config.warnings {
        ui.warn(&format!("{} ({})", warning.in_file(&config.files), warning.remedy));
    }
}

/// Reads the configuration: of standard input for `-`, and then files are named from the working directory.
pub(super) fn read_config(ui: &Ui, named: &[PathBuf]) -> Result<Config> {
    let files = config_files(named)?;
    let mut texts = Vec::new();
    for file in &files {
        texts.push(read_config_text(ui, file)?);
        within_limit(&texts)?;
    }
    Ok(Config::parse_all(&texts, files.into())?)
}

/// How many files a configuration may have.
const MOST_FILES: usize = 1_000;

/// The files of a configuration: of a folder those that are YAML by their names, in their order, as kubectl takes one.
pub(super) fn config_files(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut places = BTreeSet::new();
    for file in named {
        let found = if file.is_dir() { files_in(file)? } else { vec![file.clone()] };
        if files.len() + found.len() > MOST_FILES {
            return Err(Error::usage(format!("a configuration has at most {MOST_FILES} files, and these are more"))
                .remedy("split them into configurations of their own, each with an `owner`"));
        }
        for file in found {
            // What isn't there is told when it is read.
            if !places.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                let what = if file == Path::new("-") {
                    "standard input, which is there once,".to_owned()
                } else {
                    file.display().to_string()
                };
                return Err(Error::usage(format!("{what} is named twice with -f"))
                    .remedy("name each file of the configuration once"));
            }
            files.push(file);
        }
    }
    Ok(files)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let unread = |error| Error::usage(format!("the folder {} could not be read", folder.display())).because(error);
    let entries = std::fs::read_dir(folder).map_err(unread)?;
    let mut files =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>().map_err(unread)?;
    // What is hidden is other tools'.
    let hidden = |file: &Path| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    files.retain(|file| {
        !hidden(file)
            && file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
            && !file.is_dir()
    });
    files.sort();
    if files.is_empty() {
        return Err(Error::usage(format!("the folder {} has no .yaml or .yml file", folder.display()))
            .remedy("name a file with -f FILE"));
    }
    Ok(files)
}

/// What holds for one file holds for several together.
pub(super) fn within_limit(texts: &[String]) -> Result<()> {
    let (bytes, most) = (texts.iter().map(String::len).sum::<usize>(), input::CONFIGURATION.bytes);
    if texts.len() > 1 && bytes > most {
        return Err(Error::usage(format!(
            "the configuration's files have {bytes} bytes together, and {most} is the most"
        ))
        .remedy("split them into configurations of their own, each with an `owner`"));
    }
    Ok(())
}

fn read_config_text(ui: &Ui, file: &Path) -> Result<String> {
    let (text, origin) = if file == Path::new("-") {
        read_stdin(ui, input::CONFIGURATION)?
    } else {
        let text = input::read_text(file, input::CONFIGURATION).map_err(|error| {
            Error::usage(format!("the configuration {} could not be read", file.display()))
                .because(error)
                .remedy("name it with -f FILE")
        })?;
        (text, file.display().to_string())
    };
    input::check(&text, InputKind::Configuration).map_err(|mistaken| mistaken.told_of(&origin))?;
    Ok(text)
}

/// Where a document of a cluster comes from: a file, standard input, or the cluster.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// Read this file, or standard input for `-`, in place of asking the cluster
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Let the kubeconfig's credentials go to another machine over plain http, where anybody in between can read them
    #[arg(long)]
    allow_http: bool,
    #[command(flatten)]
    kube: KubeArgs,
}

/// A document's source, decided.
pub(super) enum Source {
    /// Its text, and where that came from.
    Text {
        /// The text.
        text: String,
        /// The file's name, or `standard input`.
        origin: String,
    },
    /// The cluster.
    Cluster(Box<Connection>),
}

impl SourceArgs {
    /// Decides: a named file; else the cluster, where a flag names one; else standard input, where `piped` allows it and
    /// it isn't a terminal; else the current context.
    pub(super) async fn open(&self, context: &Context, piped: bool) -> Result<Source> {
        let KubeArgs { kubeconfig, context: name, impersonate } = &self.kube;
        let cluster_named = kubeconfig.is_some() || name.is_some() || impersonate.is_some();
        match &self.file {
            Some(_) if cluster_named => Err(Error::usage("a file and a cluster are two sources")
                .remedy("name the file, or give --kubeconfig, --context or --as, not both")),
            Some(file) => not_empty(read_text(&context.ui, file, input::DOCUMENT)?),
            None if piped && !cluster_named && !std::io::stdin().is_terminal() => {
                not_empty(read_stdin(&context.ui, input::DOCUMENT)?)
            }
            None => {
                let settings = kube_settings(context, &self.kube, self.allow_http)?;
                Ok(Source::Cluster(Box::new(Connection::open(&ClusterSource::Context(None), &settings).await?)))
            }
        }
    }
}

/// The text of a file, or of standard input for `-`, and what to call that.
pub(super) fn read_text(ui: &Ui, file: &Path, limit: Limit) -> Result<(String, String)> {
    if file == Path::new("-") { read_stdin(ui, limit) } else { read_file(file, limit) }
}

/// A file's text, and its name.
fn read_file(file: &Path, limit: Limit) -> Result<(String, String)> {
    let text = input::read_text(file, limit)
        .map_err(|error| Error::usage(format!("{} could not be read", file.display())).because(error))?;
    Ok((text, file.display().to_string()))
}

/// The text of standard input, and what to call that.
fn read_stdin(ui: &Ui, limit: Limit) -> Result<(String, String)> {
    if std::io::stdin().is_terminal() {
        ui.status("reading standard input; end it with Ctrl-D");
    }
    let text =
        input::read_stdin(limit).map_err(|error| Error::failed("standard input could not be read").because(error))?;
    Ok((text, "standard input".to_owned()))
}

fn not_empty((text, origin): (String, String)) -> Result<Source> {
    if text.trim().is_empty() {
        return Err(Error::failed(format!("{origin} is empty"))
            .remedy(format!(
                "pipe the document into it: {}",
                Kubectl::default().run("get --raw /openid/v1/jwks").pipe(&vaultk8s("pem")).shown()
            ))
            .remedy("or name a cluster with --context"));
    }
    input::check(&text, InputKind::Document).map_err(|mistaken| mistaken.told_of(&origin))?;
    Ok(Source::Text { text, origin })
}
