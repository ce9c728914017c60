//! Why no answer of Vault came, and whether another attempt may bring one.

use super::error::{Asked, Said, VaultError};
use super::retry::{Again, Failure};
use crate::reach::{self, ProxyFault, Unreachable, Why};

/// Sorts an exchange that gave no answer.
pub(super) fn failure(failure: reach::ExchangeFailure, asked: Box<Asked>) -> Failure {
    let how = match failure.why {
        Why::Tls(problem) => return Failure::last(VaultError::Tls { asked, problem }),
        Why::Unreachable(how) => how,
    };
    let again = match &how {
        // A host name that is wrong stays so, and who waited a minute has waited.
        Unreachable::UnknownHost | Unreachable::AnswerTimeout => Again::Never,
        // What a proxy is told stays so, too.
        Unreachable::Proxy(problem)
            if matches!(problem.fault, ProxyFault::Credentials(_) | ProxyFault::Unusable(_) | ProxyFault::Tls(_)) =>
        {
            Again::Never
        }
        _ if failure.connecting => Again::Always,
        _ => Again::IfIdempotent,
    };
    Failure::passing(VaultError::Unreachable { asked, how, source: Said(failure.said) }, again)
}
