//! Connections that trust given authorities and no others: as Vault trusts a mount's host, and a store its Vault.

use http::{Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

use crate::keys::Authorities;
use crate::reach::{ExchangeFailure, Reach, Reply, Trust};

/// Why there was no answer, in the connection's words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NoAnswer {
    /// The certificate is for other names: that is looked at last, so its authority is a trusted one.
    Name(String),
    /// The certificate is not to be trusted.
    Certificate(String),
    /// There is no connection.
    Connection(String),
}

impl NoAnswer {
    /// Sorts an exchange that gave no answer.
    pub(in crate::verify) fn of(failure: &ExchangeFailure) -> Self {
        let said = failure.to_string();
        match failure.certificate() {
            Some(problem) if problem.is_of_the_name() => Self::Name(said),
            Some(_) => Self::Certificate(said),
            None => Self::Connection(said),
        }
    }

    /// The connection's words.
    pub(in crate::verify) fn said(&self) -> &str {
        let (Self::Name(said) | Self::Certificate(said) | Self::Connection(said)) = self;
        said
    }

    /// Whether it is for want of a connection.
    pub(in crate::verify) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Connection(_))
    }
}

/// Trusts these authorities and no others; without any, the system's. `named` says whose they are.
pub(in crate::verify) fn trust(authorities: Option<&Authorities>, named: &str) -> Trust {
    match authorities {
        Some(authorities) => Trust::only(authorities.certificates().to_vec(), named),
        None => Trust::System,
    }
}

/// Asks for a URL, without credentials.
pub(in crate::verify) async fn get(reach: &Reach, url: &str) -> Result<Response<Reply>, ExchangeFailure> {
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = Uri::try_from(url).map_err(|_| ExchangeFailure::no_url(url))?;
    reach.client().send(request).await
}
