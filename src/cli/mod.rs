//! The command line: one file per command with its arguments and one function, and nothing that thinks.

mod auth;
mod bootstrap;
mod capture_file;
mod completions;
mod init;
mod issuer;
mod jwks;
mod login;
mod man;
mod pem;
mod plan;
mod policy;
mod rehearse;
mod render;
mod report_file;
mod role;
mod schema;
mod shared;
mod step;
mod verify_role;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Outcome, Result};
use crate::interrupt::Interrupt;
use crate::operator::Operator;
use crate::settings::Environment;
use crate::ui::{Format, Ui};
use crate::vault::tls::install_crypto_provider;

/// The Vault side of Kubernetes-to-Vault trust: set up, proved and explained
///
/// From one file, vaultk8s reads each cluster's issuer and keys, configures the auth mount in HashiCorp Vault or
/// OpenBao, writes policies and roles, and proves the result with real logins.
#[derive(Debug, Parser)]
#[command(name = "vaultk8s", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done or in order; 1 failed, or a check failed; 2 changes pending \
                        (--detailed-exitcode only); 64 wrong usage, environment or configuration; 130 interrupted.")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Say nothing on stderr but warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Bootstrap(bootstrap::Args),
    Plan(plan::Args),
    Rehearse(rehearse::Args),
    Issuer(issuer::Args),
    Jwks(jwks::Args),
    Pem(pem::Args),
    Auth(auth::Args),
    Policy(policy::Args),
    Role(role::Args),
    Login(login::Args),
    VerifyRole(Box<verify_role::Args>),
    Render(render::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// The command line's definition, for completions and documentation.
    pub fn definition() -> clap::Command {
        Self::command()
    }
}

/// What every command is given.
struct Context {
    ui: Ui,
    environment: Environment,
    /// The login that gives the operator's token, where one does.
    operator: Operator,
    interrupt: Interrupt,
}

/// Runs the process's command line.
pub fn main() -> ExitCode {
    // No command of the command line: neither help nor completions have it.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == crate::rehearse::SUPERVISE) {
        return rehearse::supervise(&args.collect::<Vec<_>>());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // The terminal is all there is to say it on.
            let _unprintable = error.print();
            if !error.use_stderr() {
                return ExitCode::SUCCESS;
            }
            let told = error.render().to_string();
            let first = told.lines().next().unwrap_or_default();
            let usage =
                Error::usage(first.strip_prefix("error: ").unwrap_or(first)).remedy("look at `vaultk8s --help`");
            Ui::new(asked_format(std::env::args()), true).error_document(&usage);
            return ExitCode::from(usage.kind().exit_code());
        }
    };
    let context = Context {
        ui: Ui::new(cli.output, cli.quiet),
        environment: Environment::from_process(),
        operator: Operator::default(),
        interrupt: Interrupt::default(),
    };
    match run(&context, cli.command) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            context.ui.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// The format that a command line asks for, which could not be parsed as a whole: one document is due all the same.
fn asked_format(args: impl Iterator<Item = String>) -> Format {
    let args: Vec<String> = args.collect();
    let value = args.iter().enumerate().find_map(|(at, arg)| match arg.as_str() {
        "-o" | "--output" => args.get(at + 1).cloned(),
        _ => ["--output=", "-o="].iter().chain(&["-o"]).find_map(|flag| arg.strip_prefix(flag)).map(str::to_owned),
    });
    value.and_then(|value| Format::from_str(&value, false).ok()).unwrap_or_default()
}

fn run(context: &Context, command: Command) -> Result<Outcome> {
    install_crypto_provider();
    let runtime = tokio::runtime::Runtime::new().map_err(no_runtime)?;
    runtime.block_on(async {
        let outcome = match command {
            Command::Bootstrap(args) => bootstrap::run(context, args).await,
            Command::Plan(args) => plan::run(context, args).await,
            Command::Rehearse(args) => rehearse::run(context, args).await,
            Command::Issuer(args) => issuer::run(context, args).await,
            Command::Jwks(args) => jwks::run(context, args).await,
            Command::Pem(args) => pem::run(context, args).await,
            Command::Init(args) => init::run(context, &args),
            Command::Auth(args) => auth::run(context, args).await,
            Command::Policy(args) => policy::run(context, args).await,
            Command::Role(args) => role::run(context, args).await,
            Command::Login(args) => login::run(context, args).await,
            Command::VerifyRole(args) => Box::pin(verify_role::run(context, *args)).await,
            Command::Render(args) => render::run(context, args),
            Command::Schema(args) => schema::run(context, &args),
            Command::Completions(args) => completions::run(context, &args),
            Command::Man(args) => man::run(context, &args),
        };
        // Whatever came of it.
        context.operator.leave(&context.ui).await;
        context.interrupt.settle().await;
        outcome
    })
}

fn no_runtime(error: std::io::Error) -> Error {
    Error::failed("the asynchronous runtime did not start").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::definition().debug_assert();
    }
}
