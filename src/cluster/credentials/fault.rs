//! Why the credentials of a kubeconfig can't be used. No secret is in it.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// Why the credentials of a kubeconfig can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CredentialFault {
    said: String,
    remedy: Option<String>,
    /// What is written in the kubeconfig is wrong; else a program that it names failed.
    is_written: bool,
}

impl CredentialFault {
    /// What is written in the kubeconfig is wrong.
    pub(super) fn written(said: impl Into<String>) -> Self {
        Self { said: said.into(), remedy: None, is_written: true }
    }

    /// A program that it names doesn't give credentials.
    pub(in crate::cluster) fn of_plugin(said: impl Into<String>) -> Self {
        Self { said: said.into(), remedy: None, is_written: false }
    }

    /// With what to do about it.
    pub(in crate::cluster) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What to do about it, where it is known.
    pub(crate) fn known_remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// As what the user is told of it, by this sentence.
    pub(crate) fn told(self, sentence: impl Into<String>) -> Error {
        let kind = if self.is_written { ErrorKind::Usage } else { ErrorKind::Failed };
        let remedy = self.remedy.clone();
        Error::new(kind, sentence).because(self).maybe_remedy(remedy)
    }
}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for CredentialFault {}
