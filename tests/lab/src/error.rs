use std::fmt::Write as _;

/// What went wrong while the lab was installed, started or used, and what to do about it.
#[derive(Debug)]
pub struct Error {
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    output: Option<String>,
    remedy: Option<String>,
    address_in_use: bool,
}

/// A result whose error has its remedy with it.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says `what` happened.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None, output: None, remedy: None, address_in_use: false }
    }

    /// The same, with the error that caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, with what the reader should do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same, with the end of what the failed command printed.
    #[must_use]
    pub fn output(mut self, printed: &str) -> Self {
        const LINES: usize = 25;
        let lines: Vec<&str> = printed.trim_end().lines().collect();
        self.address_in_use = printed.contains("address already in use");
        self.output = Some(lines[lines.len().saturating_sub(LINES)..].join("\n"));
        self
    }

    /// Whether a server lost the race for a port that was free a moment ago: starting it on another one may help.
    pub(crate) fn is_address_in_use(&self) -> bool {
        self.address_in_use
    }

    /// Everything there is to say, for a person: causes, output and remedy, over several lines.
    pub fn report(&self) -> String {
        let mut report = self.what.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let _ = write!(report, ": {error}");
            cause = error.source();
        }
        if let Some(output) = &self.output {
            for line in output.lines() {
                let _ = write!(report, "\n  | {line}");
            }
        }
        if let Some(remedy) = &self.remedy {
            let _ = write!(report, "\n  What to do: {remedy}");
        }
        report
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// Says what was being done when an error came up.
pub trait Context<T> {
    /// Wraps the error in one that says `what` couldn't be done.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(what()).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_cause_end_of_output_and_remedy() {
        let printed = (1..=40).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let error = Error::new("go build failed").because("exit status: 1").output(&printed).remedy("install Go");
        let report = error.report();
        assert!(report.starts_with("go build failed: exit status: 1\n  | line 16\n"), "{report}");
        assert!(report.ends_with("  | line 40\n  What to do: install Go"), "{report}");
    }
}
