//! What a login may do, against what its policies say.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::finding::list;
use super::probes::Probes;
use crate::access::{Deviation, granted};
use crate::error::Error;
use crate::vault::{CapabilitiesByPath, Client, LoginAuth, VaultError, tokens};

/// Why nobody told what a login may do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Unasked {
    /// The login's own request was answered with an error that is not for want of a rule.
    ByItself(VaultError),
    /// The login may not ask, or has no use to spare for it, and this came of asking in its place.
    InItsPlace {
        /// Whether the login itself was refused.
        forbidden: bool,
        /// Why the operator was told nothing either.
        error: Error,
    },
}

impl From<Unasked> for Error {
    fn from(why: Unasked) -> Self {
        match why {
            Unasked::ByItself(error) => error.into(),
            Unasked::InItsPlace { error, .. } => error,
        }
    }
}

/// How many paths are asked about in one request.
const AT_ONCE: usize = 900;

/// With the login's own token, or with the operator's where that may not ask.
pub(crate) async fn ask(
    operator: &Client,
    role: &Client,
    login: &LoginAuth,
    paths: &[String],
) -> Result<CapabilitiesByPath, Unasked> {
    // One answer for each part: OpenBao refuses more than 1,000 strings in one request.
    let parts = paths.chunks(AT_ONCE);
    // Asking is a use, and so is the revocation: a token with one or two has none to spare. Those of a batch token
    // aren't counted.
    let may_ask = login.info.num_uses == 0 || login.info.is_batch() || login.info.num_uses > parts.len() as u64 + 1;
    let mut all = CapabilitiesByPath::new();
    for part in parts {
        all.extend(ask_part(operator, Some(role).filter(|_| may_ask), login, part).await?);
    }
    Ok(all)
}

async fn ask_part(
    operator: &Client,
    role: Option<&Client>,
    login: &LoginAuth,
    paths: &[String],
) -> Result<CapabilitiesByPath, Unasked> {
    if let Some(role) = role {
        match role.send(&tokens::capabilities_self(paths)).await {
            Ok(answer) => return Ok(answer.data),
            Err(VaultError::Forbidden { .. }) => {}
            Err(error) => return Err(Unasked::ByItself(error)),
        }
    }
    let request = if login.info.accessor.is_empty() {
        tokens::capabilities(&login.client_token, paths)
    } else {
        tokens::capabilities_accessor(&login.info.accessor, paths)
    };
    match operator.send(&request).await {
        Ok(answer) => Ok(answer.data),
        Err(error) => {
            let error = Error::from(operator.explain_forbidden(error).await);
            Err(Unasked::InItsPlace { forbidden: role.is_some(), error })
        }
    }
}

/// In what a login may do differs from what it should.
pub(super) struct Differences {
    /// What it lacks: `read on secret/data/a`.
    pub(super) missing: Vec<String>,
    /// What it has beside that.
    pub(super) extra: Vec<Surplus>,
    /// What it has beside that, unless a template of its own policies gives it.
    pub(super) unsure: Vec<Surplus>,
    /// How many paths were asked for that it should not reach, and doesn't.
    pub(super) refused: usize,
}

/// What a login may do on a path beside what it should.
#[derive(Debug, Clone)]
pub(super) struct Surplus {
    pub(super) path: String,
    pub(super) capabilities: BTreeSet<String>,
}

/// Compares what a login may do with what was foreseen.
pub(super) fn differences(probes: &Probes, actual: &CapabilitiesByPath) -> Differences {
    let mut found = Differences { missing: Vec::new(), extra: Vec::new(), unsure: Vec::new(), refused: 0 };
    for (path, expected) in &probes.expected {
        let answer = actual.get(path).into_iter().flatten();
        let Deviation { lacks, more, unsure } = expected.deviation(answer.clone());
        if !lacks.is_empty() {
            found.missing.push(format!("{} on {path}", list(lacks.iter().map(String::as_str))));
        }
        let surplus = |capabilities| Surplus { path: path.clone(), capabilities };
        found.extra.extend(Some(more).filter(|more| !more.is_empty()).map(surplus));
        found.unsure.extend(Some(unsure).filter(|unsure| !unsure.is_empty()).map(surplus));
        if expected.is_refusal() && granted(answer).next().is_none() {
            found.refused += 1;
        }
    }
    found
}

/// `read secret/data/app/*, list secret/metadata/app/*`, and the number of the rest.
pub(super) fn some_of(rules: &[String]) -> String {
    const SHOWN: usize = 4;
    match rules.len() {
        0..=SHOWN => rules.join(", "),
        more => format!("{} and {} more", rules[..SHOWN].join(", "), more - SHOWN),
    }
}
