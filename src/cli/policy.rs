//! `vaultk8s policy`.

use super::Context;
use super::step::{StepArgs, name};
use crate::cluster::KubeArgs;
use crate::config::{self, Config, FilePolicy, Position, Task, Verb};
use crate::error::{Outcome, Result};
use crate::names::{MountPath, PolicyName};

/// Write one policy
///
/// Paths are paths of secrets: `data/` and `metadata/` are added where the KV mount is version 2, which is asked of
/// Vault. A policy that says the same in other words stays as it is; any other of that name may be somebody else's, and is
/// replaced only after a question, or with `--approve take-over`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("grants").required(true).multiple(true))]
pub(super) struct Args {
    /// The name of the policy
    #[arg(value_name = "NAME", value_parser = name::<PolicyName>)]
    policy: PolicyName,
    /// KV path whose secrets may be read, such as k8s/prod/*
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    read: Vec<String>,
    /// KV path whose names may be listed
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    list: Vec<String>,
    /// KV path whose secrets may be created and updated
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    write: Vec<String>,
    /// KV path whose secrets may be deleted
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    delete: Vec<String>,
    /// KV path whose names and metadata may be looked through, as External Secrets' `dataFrom.find` does
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    find: Vec<String>,
    /// KV path whose secrets and metadata may be written and compared, as External Secrets' `PushSecret` does
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    push: Vec<String>,
    /// Path that signs, such as pki/sign/web
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    sign: Vec<String>,
    /// Path that gives credentials, such as database/creds/app
    #[arg(long, value_name = "PATH", num_args = 1.., group = "grants")]
    creds: Vec<String>,
    /// Transit key that may encrypt, such as transit/orders
    #[arg(long, value_name = "KEY", num_args = 1.., group = "grants")]
    encrypt: Vec<String>,
    /// Transit key that may decrypt, such as transit/orders
    #[arg(long, value_name = "KEY", num_args = 1.., group = "grants")]
    decrypt: Vec<String>,
    /// A rule written out, for anything else: auth/token/lookup-self=read
    #[arg(long = "rule", value_name = "PATH=CAPABILITY,…", num_args = 1.., group = "grants")]
    rules: Vec<String>,
    /// The KV mount of the paths
    #[arg(long, value_name = "MOUNT", value_parser = name::<MountPath>, default_value = config::DEFAULT_KV)]
    kv: MountPath,
    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let mut grants = Vec::new();
    for verb in Verb::ALL {
        let paths = match verb {
            Verb::Read => &args.read,
            Verb::List => &args.list,
            Verb::Write => &args.write,
            Verb::Delete => &args.delete,
            Verb::Find => &args.find,
            Verb::Push => &args.push,
        };
        grants.extend(config::kv_grants(&args.kv, verb, paths)?);
    }
    for task in Task::ALL {
        let paths = match task {
            Task::Sign => &args.sign,
            Task::Creds => &args.creds,
            Task::Encrypt => &args.encrypt,
            Task::Decrypt => &args.decrypt,
        };
        grants.extend(config::task_grants(task, paths)?);
    }
    grants.extend(args.rules.iter().map(|rule| config::rule(rule)).collect::<Result<Vec<_>>>()?);
    let policy = FilePolicy { name: args.policy, position: Position::START, grants };
    let config = Config { policies: vec![policy], ..Config::default() };
    let session = args.step.session(context, config, &KubeArgs::default()).await?;
    let prepared = session.prepare().await?;
    args.step.run(context, &session, prepared).await
}
