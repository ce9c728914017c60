use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::passage::{Alter, Passage};
use crate::vault::answered;
use crate::{Authority, Result};

/// What stands before an API server as Rancher's does: below a path, with a certificate of its own authority, and with tokens of its own.
/// It ends when dropped.
#[derive(Debug)]
pub struct Front {
    passage: Passage,
}

struct Own {
    token: String,
    /// What the API server takes in its place.
    real: HeaderValue,
}

/// The path below which the API server is.
const PATH: &str = "/k8s/clusters/c-1";

impl Front {
    /// Starts one before the API server at this URL, which has its certificate from `its_ca`. It takes `token`, which may be of any form,
    /// and presents `real` in its place; other tokens are nobody's.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(server: &str, its_ca: &str, authority: &Authority, token: &str, real: &str) -> Self {
        let own = Arc::new(Own { token: format!("Bearer {token}"), real: answered(bearer(real)) });
        Self { passage: answered(Passage::between(server, its_ca, authority, own)) }
    }

    /// Where the API server is behind it: `https://127.0.0.1:PORT/k8s/clusters/c-1`.
    pub fn url(&self) -> String {
        format!("{}{PATH}", self.passage.address())
    }
}

fn bearer(token: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| crate::Error::new("no token").because(error))
}

impl Alter for Own {
    fn path<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(PATH).unwrap_or(path)
    }

    fn headers(&self, mut headers: HeaderMap) -> HeaderMap {
        let is_own = headers.get(AUTHORIZATION).is_some_and(|given| given.as_bytes() == self.token.as_bytes());
        let real = if is_own { self.real.clone() } else { HeaderValue::from_static("Bearer nobody") };
        headers.insert(AUTHORIZATION, real);
        headers
    }
}
