//! `vaultk8s verify-role`.

use std::path::{Path, PathBuf};

use super::report_file::ReportFile;
use super::shared::SessionArgs;
use super::step::name;
use super::{Context, capture_file};
use crate::config::{ReviewerFlags, ReviewerToken};
use crate::error::{Error, Outcome, Result};
use crate::fix::vaultk8s;
use crate::names::{Audience, ClusterName, MountPath, RoleName, ServiceAccountRef};
use crate::show;
use crate::ui::Ui;
use crate::verify::{self, Diagnosis, Inspection, RoleFlags, Selection, Target};

/// Say why a role can, or can't, log in and read, and what mends it
///
/// Goes through the whole chain from a service account to a secret, link by link and from both ends, and names the one
/// that is broken, with the evidence and the command that mends it. Roles are those of the configuration; without one,
/// --mount and --role name any role. Nothing is changed but for the identity that any first login leaves in Vault:
/// tokens of the tests are revoked, and --no-login leaves nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The role of the configuration; may be repeated
    #[arg(value_name = "ROLE", value_parser = name::<RoleName>, conflicts_with_all = ["all", "mount"])]
    roles: Vec<RoleName>,
    /// All roles of the configuration
    #[arg(long, conflicts_with = "mount")]
    all: bool,
    /// Only in this cluster of the configuration; may be repeated
    #[arg(long = "cluster", value_name = "NAME", value_delimiter = ',', value_parser = name::<ClusterName>, conflicts_with = "mount")]
    clusters: Vec<ClusterName>,
    /// Without a configuration: the path of the auth mount
    #[arg(long, value_name = "PATH", value_parser = name::<MountPath>, requires = "role")]
    mount: Option<MountPath>,
    /// Without a configuration: the role
    #[arg(long, value_name = "NAME", value_parser = name::<RoleName>, requires = "mount")]
    role: Option<RoleName>,
    /// Who logs in; without it, the account that the role is bound to
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = name::<ServiceAccountRef>, requires = "mount")]
    service_account: Option<ServiceAccountRef>,
    /// What the consumer asks the cluster for; without it what the role takes (jwt), or the API server's own (kubernetes)
    #[arg(long = "audience", value_name = "AUDIENCE", value_parser = name::<Audience>, requires = "mount")]
    audiences: Vec<Audience>,
    /// Log in with the token in this file, or on standard input for `-`
    ///
    /// Of the roles of a configuration, those whose bounds it meets, and where it is for none of those that are named, these: the checks
    /// say why they don't take it.
    #[arg(long, value_name = "FILE", conflicts_with = "audiences")]
    jwt_file: Option<PathBuf>,
    /// Who reviews tokens for the mount (kubernetes)
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = name::<ServiceAccountRef>, requires = "mount")]
    reviewer: Option<ServiceAccountRef>,
    /// What kind of token the reviewer has; without it, that of the Secret that holds one, else a bound one
    #[arg(long, value_name = "KIND", value_enum, requires = "mount")]
    reviewer_token: Option<ReviewerToken>,
    /// A file with the reviewer's token
    #[arg(long, value_name = "FILE", requires = "mount", conflicts_with = "reviewer_token")]
    reviewer_token_file: Option<PathBuf>,
    /// The variable of the environment that has the reviewer's token
    #[arg(long, value_name = "NAME", requires = "mount", conflicts_with_all = ["reviewer_token", "reviewer_token_file"])]
    reviewer_token_env: Option<String>,
    /// The Secret with the reviewer's token; without it, the one that is there
    #[arg(long, value_name = "NAME", requires = "reviewer")]
    secret_name: Option<String>,
    /// A secret that the login should be able to read, such as secret/app/db#password; may be repeated
    #[arg(long = "path", value_name = "PATH[#PROPERTY]")]
    paths: Vec<String>,
    /// The KV mount of those paths; without it, the one that stands in front, else `secret`
    #[arg(long, value_name = "MOUNT", value_parser = name::<MountPath>)]
    kv: Option<MountPath>,
    /// Look, and log nobody in
    #[arg(long)]
    no_login: bool,
    /// Make only these checks: ids as in the output, or the beginning of several, such as VK3
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these checks out
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Write all that was asked and answered to this file, for `--from FILE`
    ///
    /// Readable by its owner only. It holds names, policies, public keys and addresses, and no tokens and no secrets' values. What is there
    /// already is replaced only if it is a capture.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Diagnose what another run captured in this file, and ask nobody: no cluster, no Vault, no configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = NOT_OF_A_CAPTURE)]
    from: Option<PathBuf>,
    /// Write a report as well: junit=FILE
    #[arg(long, value_name = "KIND=FILE")]
    report: Option<String>,
    // Last, because its headings go on to what follows.
    #[command(flatten)]
    session: SessionArgs,
}

/// What says whom to ask, and as whom: a capture has all of it.
const NOT_OF_A_CAPTURE: [&str; 36] = [
    "roles",
    "all",
    "clusters",
    "mount",
    "role",
    "service_account",
    "audiences",
    "jwt_file",
    "reviewer",
    "reviewer_token",
    "reviewer_token_file",
    "reviewer_token_env",
    "secret_name",
    "paths",
    "kv",
    "no_login",
    "capture",
    "file",
    "address",
    "namespace",
    "ca_cert",
    "token_file",
    "allow_http",
    "timeout",
    "login",
    "login_mount",
    "login_role",
    "login_jwt_file",
    "login_jwt_env",
    "login_audience",
    "login_role_id",
    "login_secret_id_file",
    "login_secret_id_env",
    "kubeconfig",
    "context",
    "impersonate",
];

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let selection = Selection::new(&args.only, &args.skip)?;
    let report = args.report.as_deref().map(|text| ReportFile::parse(text, &[("junit", ())])).transpose()?;
    if let Some(file) = &args.from {
        let selection = Some(selection).filter(|_| !args.only.is_empty() || !args.skip.is_empty());
        return from_capture(context, file, selection, report).await;
    }
    let mut looker = args.session.looker(context, args.mount.is_none())?;
    looker.kube = looker.kube.withholding(args.reviewer_token_env.clone());
    let files = looker.config.as_ref().map(|config| config.files.clone()).unwrap_or_default();
    let token = args.jwt_file.as_deref().map(|file| args.session.brought(context, file)).transpose()?;
    let target = match (args.mount, args.role, looker.config) {
        (Some(mount), Some(role), _) => {
            let reviewer_token = match (args.reviewer_token_file, args.reviewer_token_env) {
                (Some(file), _) => Some(ReviewerToken::File(file)),
                (None, Some(name)) => Some(ReviewerToken::Environment(name)),
                (None, None) => args.reviewer_token,
            };
            let reviewer_token_is_named = reviewer_token.is_some() || args.secret_name.is_some();
            let reviewer = match (args.reviewer, reviewer_token) {
                (None, None) => None,
                (service_account, token) => Some(
                    ReviewerFlags {
                        service_account,
                        token: token.unwrap_or_default(),
                        secret_name: args.secret_name,
                        ..ReviewerFlags::default()
                    }
                    .reviewer()?,
                ),
            };
            Target::Flags(Box::new(RoleFlags {
                mount,
                role,
                service_account: args.service_account,
                audiences: args.audiences,
                token,
                reviewer,
                reviewer_token_is_named,
            }))
        }
        (_, _, Some(config)) => {
            if args.roles.is_empty() && !args.all {
                return Err(Error::usage("no role is named")
                    .remedy("name one of the configuration, or give --all")
                    .remedy("without a configuration: --mount PATH --role NAME"));
            }
            let names = args.clusters.iter().map(ToString::to_string).collect::<Vec<_>>();
            let config = config.only_clusters(&names)?;
            let config = if args.all { config } else { verify::narrow(&config, &args.roles)? };
            let brought = token.map(Box::new);
            Target::Config { config: Box::new(config), file: files.clone(), whole: args.all, brought }
        }
        _ => return Err(Error::usage("no role is named").remedy("name one of the configuration, or give --all")),
    };
    let draft = args.capture.as_deref().map(|file| capture_file::begin(file, files.all())).transpose()?;
    // Last, so that wrong usage makes no login.
    let client = looker.access.enter_to_look(context).await?.with_parallelism(looker.parallelism);
    let interrupt = &context.interrupt;
    interrupt.watch(|| Ui::interject("stopping once the logins under way are revoked"));
    let progress = context.ui.progress("verifying", 1);
    let inspection = Inspection {
        client,
        kube: &looker.kube,
        target,
        paths: args.paths,
        kv: args.kv,
        logins: !args.no_login,
        selection,
        parallelism: looker.parallelism,
    };
    let inspected = verify::inspect(inspection, interrupt, &progress).await;
    progress.finish_and_clear();
    let inspected = inspected?;
    let outcome = tell(context, &inspected.diagnosis, report)?;
    if let (Some(draft), Some(file)) = (draft, &args.capture) {
        let file = file.display();
        match inspected.capture()? {
            Some(text) => {
                capture_file::finish(draft, &text)?;
                context.ui.status(&format!(
                    "captured to {file}, with names, policies, public keys and addresses, and without tokens; \
                     {} diagnoses it anywhere",
                    vaultk8s("verify-role").flag("--from", &file.to_string()).shown()
                ));
            }
            None => context.ui.warn(&format!("nothing was captured to {file}, because the run was stopped")),
        }
    }
    Ok(outcome)
}

/// Tells what was found.
fn tell(context: &Context, diagnosis: &Diagnosis, report: Option<ReportFile<()>>) -> Result<Outcome> {
    if let Some(report) = report {
        report.write(&show::junit(diagnosis)?)?;
    }
    context.ui.report(diagnosis)?;
    Ok(match (context.interrupt.is_set(), diagnosis.success) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::Done,
        (false, false) => Outcome::ChecksFailed,
    })
}

/// Diagnoses what another run captured.
async fn from_capture(
    context: &Context,
    file: &Path,
    selection: Option<Selection>,
    report: Option<ReportFile<()>>,
) -> Result<Outcome> {
    let capture = capture_file::read(file)?;
    let progress = context.ui.progress("verifying", 1);
    // Nothing is waited for, so that one after the other is as fast.
    let diagnosis = capture.diagnose(selection.as_ref(), 1, &context.interrupt, &progress).await;
    progress.finish_and_clear();
    tell(context, &diagnosis, report)
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn a_capture_is_read_with_nothing_that_says_whom_to_ask() {
        let command = Args::augment_args(clap::Command::new("verify-role"));
        let mine = ["from", "only", "skip", "report"];
        // How it is told, and how fast, is the reader's.
        let harmless = ["parallelism"];
        for argument in command.get_arguments().map(|argument| argument.get_id().as_str()) {
            let refused = NOT_OF_A_CAPTURE.contains(&argument);
            assert_ne!(refused, mine.contains(&argument) || harmless.contains(&argument), "{argument}");
        }
    }
}
