//! Arguments that several commands have, and what they become.

use std::io::{IsTerminal, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::Context;
use crate::cluster::{Connection, KubeArgs, KubeSettings};
use crate::config::{ClusterSource, Config};
use crate::error::{Error, Result};
use crate::pipeline::{Scope, Session};
use crate::settings::{VaultArgs, VaultSettings};
use crate::ui::Ui;
use crate::vault::Client;

/// The arguments of every command that works from the configuration file.
#[derive(Debug, clap::Args)]
pub(super) struct SessionArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = "vaultk8s.yaml")]
    file: PathBuf,
    /// How many requests to Vault or a cluster may be under way at once
    #[arg(long, value_name = "N", default_value = "8")]
    parallelism: NonZeroUsize,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    kube: KubeArgs,
}

impl SessionArgs {
    /// Reads the configuration and the environment. Nothing is asked of Vault or a cluster yet.
    pub(super) fn session(&self, context: &Context) -> Result<Session> {
        let config = read_config(&self.file)?;
        for warning in &config.warnings {
            let position = warning.position;
            context.ui.warn(&format!(
                "{}:{}:{}: {} ({})",
                self.file.display(),
                position.line,
                position.column,
                warning.message,
                warning.remedy
            ));
        }
        let settings = VaultSettings::resolve(&self.vault, &context.environment, Some((&config.vault, &self.file)))?;
        for warning in settings.warnings() {
            context.ui.warn(&warning);
        }
        settings.require_token()?;
        let client = Client::new(&settings)?;
        let kube = KubeSettings::resolve(&self.kube, &context.environment)?;
        Ok(Session { config, client, kube, parallelism: self.parallelism.get(), scope: Scope::default() })
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
    /// That is: roles of mounts with `exclusive: true`, and policies that this configuration wrote, as the mark in their
    /// text says. Never a mount, and policies only where no other role of these mounts names them.
    #[arg(long)]
    prune: bool,
}

impl ScopeArgs {
    /// Narrows a session.
    pub(super) fn narrow(&self, session: &mut Session) -> Result<()> {
        session.scope.prune = self.prune;
        session.select(&self.clusters)
    }
}

fn read_config(file: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::usage(format!("the configuration {} could not be read", file.display()))
            .because(error)
            .remedy("name it with -f FILE")
    })?;
    Ok(Config::parse(&text, file)?)
}

/// Where a document of a cluster comes from: a file, standard input, or the cluster.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// Read this file, or standard input for `-`, in place of asking the cluster
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
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
    Cluster(Connection),
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
            Some(file) if file != Path::new("-") => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Error::usage(format!("{} could not be read", file.display())).because(error))?;
                not_empty(text, file.display().to_string())
            }
            Some(_) => read_stdin(&context.ui),
            None if piped && !cluster_named && !std::io::stdin().is_terminal() => read_stdin(&context.ui),
            None => {
                let settings = KubeSettings::resolve(&self.kube, &context.environment)?;
                Ok(Source::Cluster(Connection::open(&ClusterSource::Context(None), &settings).await?))
            }
        }
    }
}

fn read_stdin(ui: &Ui) -> Result<Source> {
    if std::io::stdin().is_terminal() {
        ui.status("reading standard input; end it with Ctrl-D");
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Error::failed("standard input could not be read").because(error))?;
    not_empty(text, "standard input".to_owned())
}

fn not_empty(text: String, origin: String) -> Result<Source> {
    if text.trim().is_empty() {
        return Err(Error::failed(format!("{origin} is empty"))
            .remedy("pipe the document into it: `kubectl get --raw /openid/v1/jwks | vaultk8s pem`")
            .remedy("or name a cluster with --context"));
    }
    Ok(Source::Text { text, origin })
}
