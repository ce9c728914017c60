//! `vaultk8s rehearse`, and the process that ends its server with it.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::report_file::ReportFile;
use super::shared::{config_files, kube_settings, read_config, read_text, warn_of, within_limit};
use super::{Context, no_runtime};
use crate::cluster::{KubeArgs, KubeSettings, UnreadFile, read_trust_files, shared_by};
use crate::config::Config;
use crate::error::{Error, Outcome, Result};
use crate::input::CONFIGURATION;
use crate::model::TrustFiles;
use crate::names::MountPath;
use crate::rehearse::{self, KeyType, OtherVersion, RehearsalOptions};
use crate::ui::{Format, Ui};

/// The configuration that is rehearsed where there is none.
const CONFIG: &str = "vaultk8s.yaml";

/// The examples that newcomers see: one cluster for each method.
const EXAMPLES: [(&str, &str); 2] = [
    ("talos.yaml", include_str!("../../testdata/configs/talos.yaml")),
    ("rke.yaml", include_str!("../../testdata/configs/rke.yaml")),
];

/// Try a configuration without a cluster or a Vault: who can read what, and that nobody else can
///
/// Starts a Vault or OpenBao in memory, applies the configuration to it as bootstrap would, makes the tokens that the
/// clusters would, logs in as every role, and compares what each login may do with what the configuration says. It also
/// tries those who must be refused: a token for another audience, other service accounts, a key that is not the
/// cluster's. Neither the configuration's Vault nor its clusters are contacted, and nothing stays behind.
///
/// What the configuration expects of itself (`expect:`) must hold. With --against, another version of the file is
/// compared with it: which service accounts gain or lose access to which secrets.
///
/// Without -f, and without a vaultk8s.yaml in this folder, two example configurations are rehearsed.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the doc comments are help texts")]
pub(super) struct Args {
    /// The configuration file [default: vaultk8s.yaml, or the examples where it isn't there]; may be repeated: several are one
    /// configuration, and a folder stands for its .yaml and .yml files
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Say what changes for whom, compared with this version of the file, or with that on standard input for `-`:
    /// git show main:vaultk8s.yaml | vaultk8s rehearse --against -. May be repeated, as -f
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// Write a report as well: junit=FILE, or markdown=FILE for a CI step's summary. May be repeated
    #[arg(long = "report", value_name = "KIND=FILE")]
    reports: Vec<String>,
    /// The program of Vault or OpenBao [default: VAULTK8S_VAULT_BIN, else `vault` or `bao` on the search path]
    #[arg(long, value_name = "FILE")]
    server_bin: Option<PathBuf>,
    /// What kind of keys the clusters sign with
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    key_type: KeyType,
    /// This KV mount is of version 1; all others are of version 2. May be repeated
    #[arg(long, value_name = "MOUNT", value_delimiter = ',')]
    kv_v1: Vec<MountPath>,
    /// How many requests may be under way at once
    #[arg(long, value_name = "N", default_value = "8")]
    parallelism: NonZeroUsize,
    /// Use the tokens, keys and reviews of the configuration's own clusters; nothing there is changed
    #[arg(long)]
    cluster_from_context: bool,
    /// Let the kubeconfig's credentials go to another machine over plain http, where anybody in between can read them
    #[arg(long, requires = "cluster_from_context")]
    allow_http: bool,
    #[command(flatten)]
    kube: KubeArgs,
}

/// The kinds of reports.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Junit,
    Markdown,
}

const REPORTS: [(&str, Kind); 2] = [("junit", Kind::Junit), ("markdown", Kind::Markdown)];

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let reports = args.reports.iter().map(|text| ReportFile::parse(text, &REPORTS)).collect::<Result<Vec<_>>>()?;
    let real_clusters = real_clusters(context, &args)?;
    let (name, config) = match &*args.file {
        [] if !Path::new(CONFIG).exists() => {
            if !args.against.is_empty() {
                return Err(Error::usage(format!("there is no {CONFIG} here to compare with --against"))
                    .remedy("name the configuration with -f FILE"));
            }
            let names = EXAMPLES.map(|(name, _)| name).join(" and ");
            context.ui.status(&format!("there is no {CONFIG} here: rehearsing the examples {names}"));
            (format!("the examples {names}"), examples()?)
        }
        named => {
            let usual = [PathBuf::from(CONFIG)];
            let config = read_config(&context.ui, if named.is_empty() { &usual } else { named })?;
            warn_of(&context.ui, &config);
            (config.files.shown(), config)
        }
    };
    let against = other_version(&context.ui, &args.against, &config)?;
    let Args { server_bin, key_type, kv_v1, parallelism, .. } = args;
    let how =
        RehearsalOptions { name, server_bin, key_type, kv_v1, against, real_clusters, parallelism: parallelism.get() };
    let rehearsal = rehearse::rehearse(&context.ui, &context.environment, &context.interrupt, &config, &how).await?;
    let Some(rehearsal) = rehearsal else { return Ok(Outcome::Interrupted) };
    for report in reports {
        report.write(&match report.kind {
            Kind::Junit => rehearsal.junit()?,
            Kind::Markdown => rehearsal.markdown(),
        })?;
    }
    context.ui.report(&rehearsal)?;
    Ok(if rehearsal.success { Outcome::Done } else { Outcome::ChecksFailed })
}

/// The way to the real clusters, where they are asked for.
fn real_clusters(context: &Context, args: &Args) -> Result<Option<KubeSettings>> {
    let KubeArgs { kubeconfig, context: name, impersonate } = &args.kube;
    if args.cluster_from_context {
        return kube_settings(context, &args.kube, args.allow_http).map(Some);
    }
    if kubeconfig.is_some() || name.is_some() || impersonate.is_some() {
        return Err(Error::usage("a rehearsal contacts no cluster, so that no flag can say which")
            .remedy("add --cluster-from-context to use the tokens of the real ones"));
    }
    Ok(None)
}

/// Another version of the configuration, and what it is called. One that is wrong is no reason not to rehearse the one that mends
/// it: then there is nothing to compare with, which is said.
fn other_version(ui: &Ui, named: &[PathBuf], config: &Config) -> Result<Option<OtherVersion>> {
    if named.is_empty() {
        return Ok(None);
    }
    let (mut texts, mut origins) = (Vec::new(), Vec::new());
    for file in config_files(named)? {
        let (text, origin) = read_text(ui, &file, CONFIGURATION)?;
        if text.trim().is_empty() {
            return Err(Error::usage(format!("the other version of the configuration, {origin}, is empty"))
                .remedy("look whether `git show REVISION:FILE` prints it"));
        }
        texts.push(text);
        origins.push(PathBuf::from(origin));
        within_limit(&texts)?;
    }
    let is_piped = named.iter().any(|file| file == Path::new("-"));
    match Config::parse_all(&texts, origins.into()) {
        Ok(other) => {
            let files = files_beside(ui, is_piped, &other, config);
            Ok(Some(OtherVersion { name: other.files.shown(), config: other, files }))
        }
        Err(error) => {
            ui.caution(
                &Error::from(error).context("nothing is compared: the other version of the configuration is wrong"),
            );
            Ok(None)
        }
    }
}

/// The keys and certificates in the files that both versions name, each beside its own version. What of them can't be compared
/// is said: else it would look as if nothing had changed there.
fn files_beside(ui: &Ui, is_piped: bool, other: &Config, config: &Config) -> [TrustFiles; 2] {
    let uncompared = |error: Error| {
        ui.caution(&error.context("keys and certificates in a file that the configuration names are not compared"));
    };
    let whole = "check the other version out with all its files, in a folder of its own: `git worktree add`";
    if is_piped {
        if !other.trust_files().is_empty() {
            let error = Error::failed("the version on standard input has no folder, and so no files beside it");
            uncompared(error.remedy(whole));
        }
        return <[TrustFiles; 2]>::default();
    }
    let [(mut before, unread_before), (mut after, unread_after)] = [other, config].map(read_trust_files);
    // What is there in neither version, a rehearsal doesn't need and a change of the repository can't touch.
    let absent = |files: &[UnreadFile], name: &Path| files.iter().any(|file| file.is_absent && file.named == name);
    let in_neither = |name: &Path| absent(&unread_before, name) && absent(&unread_after, name);
    let names: Vec<PathBuf> =
        unread_before.iter().map(|file| file.named.clone()).filter(|name| in_neither(name)).collect();
    for file in unread_before.into_iter().chain(unread_after).filter(|file| !names.contains(&file.named)) {
        uncompared(file.error);
    }
    for shared in shared_by(config, other) {
        // Who finds the same file twice has not looked at the other version.
        if before.remove(&shared).is_some() {
            let text = format!("both versions have {} from the same place", shared.display());
            uncompared(Error::failed(text).remedy(whole));
        }
        after.remove(&shared);
    }
    [before, after]
}

/// The examples as one configuration: their clusters and policies have different names.
fn examples() -> Result<Config> {
    let mut all = Config::default();
    for (name, text) in EXAMPLES {
        let config = Config::parse(text, Path::new(name))?;
        all.clusters.extend(config.clusters);
        all.policies.extend(config.policies);
    }
    Ok(all)
}

/// The process that ends the server of a rehearsal with it.
pub(super) fn supervise(command: &[OsString]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_runtime);
    ended(runtime.and_then(|runtime| runtime.block_on(rehearse::supervise(command))))
}

/// The process that becomes the server of a rehearsal.
pub(super) fn become_program(command: &[OsString]) -> ExitCode {
    ended(rehearse::become_program(command))
}

fn ended(result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            Ui::new(Format::Text, true).error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}
