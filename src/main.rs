//! The `vaultk8s` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    vaultk8s::cli::main()
}
