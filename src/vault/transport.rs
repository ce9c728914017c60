//! Why no answer of Vault came, and whether another attempt may bring one.

use super::error::{Asked, Said, VaultError};
use super::retry::{Again, Failure};
use crate::reach::{self, Unreachable, Why};

/// Sorts an exchange that gave no answer.
pub(super) fn failure(failure: reach::Failure, asked: Box<Asked>) -> Failure {
    let how = match failure.why {
        Why::Tls(problem) => return Failure::last(VaultError::Tls { asked, problem }),
        Why::Unreachable(how) => how,
    };
    let again = match how {
        // A host name that is wrong stays so, so does what a proxy is told, and who waited a minute has waited.
        Unreachable::UnknownHost | Unreachable::AnswerTimeout | Unreachable::Proxy(_) => Again::Never,
        _ if failure.connecting => Again::Always,
        _ => Again::IfIdempotent,
    };
    Failure::passing(VaultError::Unreachable { asked, how, source: Said(failure.said) }, again)
}
