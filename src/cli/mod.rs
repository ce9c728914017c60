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
use crate::reach::install_crypto_provider;
use crate::settings::Environment;
use crate::text::printable_line;
use crate::ui::{Format, Ui};

/// The Vault side of Kubernetes-to-Vault trust: set up, proved and explained
///
/// From one file, vaultk8s reads each cluster's issuer and keys, configures the auth mount in HashiCorp Vault or
/// OpenBao, writes policies and roles, and proves the result with real logins.
#[derive(Debug, Parser)]
#[command(name = "vaultk8s", bin_name = "vaultk8s", version, max_term_width = 100)]
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
    keep_no_core();
    std::panic::set_hook(Box::new(tell_panic));
    // No commands of the command line: neither help nor completions have them.
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(crate::rehearse::SUPERVISE) => return rehearse::supervise(&args.collect::<Vec<_>>()),
        Some(supervisor::BECOME) => return rehearse::become_program(&args.collect::<Vec<_>>()),
        _ => {}
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if !error.use_stderr() {
                // The terminal is all there is to say it on.
                let _unprintable = error.print();
                return ExitCode::SUCCESS;
            }
            // What was typed is quoted: it stands on one line, and acts on nothing.
            let typed: Vec<String> = std::env::args_os().map(|word| printable_line(&word.to_string_lossy())).collect();
            let error = Cli::try_parse_from(&typed).err().unwrap_or(error);
            let told = error.render().to_string();
            Ui::told_by_clap(&told);
            let first = told.lines().next().unwrap_or_default();
            let usage =
                Error::usage(first.strip_prefix("error: ").unwrap_or(first)).remedy("look at `vaultk8s --help`");
            Ui::new(asked_format(&typed), true).error_document(&usage);
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

/// Sees to it that no file of a crash holds the tokens that are in memory.
fn keep_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        // Where it isn't granted, all else works as well.
        let _as_before = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // What takes cores through a pipe doesn't ask for the limit.
        let _as_before = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Says where a fault of this program showed, and nothing of what it was about: the words of a panic may quote a token.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    let trace = std::backtrace::Backtrace::capture();
    let trace = match trace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
        _ => " with RUST_BACKTRACE=1".to_owned(),
    };
    let version = env!("CARGO_PKG_VERSION");
    Ui::interject(&format!("a fault of vaultk8s {version} itself{place}; please report it{trace}"));
}

/// The format that a command line asks for, which could not be parsed as a whole: one document is due all the same.
fn asked_format(args: &[String]) -> Format {
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
            Command::Bootstrap(args) => Box::pin(bootstrap::run(context, args)).await,
            Command::Plan(args) => plan::run(context, args).await,
            Command::Rehearse(args) => rehearse::run(context, args).await,
            Command::Issuer(args) => issuer::run(context, args).await,
            Command::Jwks(args) => jwks::run(context, args).await,
            Command::Pem(args) => pem::run(context, args).await,
            Command::Init(args) => init::run(context, &args).await,
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
