use std::process::ExitCode;

use lab::Result;

/// `cargo lab install`
pub(crate) fn install() -> Result<ExitCode> {
    crate::install::ensure(&super::this_program()?)?;
    Ok(ExitCode::SUCCESS)
}
