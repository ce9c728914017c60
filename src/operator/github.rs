//! The JWT that GitHub Actions gives to a job with `permissions: { id-token: write }`.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Request, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::input::{self, read_body};
use crate::names::Audience;
use crate::reach::{Reach, Trust};
use crate::settings::Proxies;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait before each further attempt.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

#[derive(Deserialize)]
struct Answer {
    value: SecretString,
}

/// Asks for it. What is shown for it, and the answer, are in no error.
///
/// # Errors
/// When none is given.
pub(super) async fn token(
    url: &Url,
    shown: &SecretString,
    audience: Option<&Audience>,
    proxies: &Proxies,
) -> Result<SecretString> {
    let mut url = url.clone();
    if let Some(audience) = audience {
        url.query_pairs_mut().append_pair("audience", audience.as_str());
    }
    let uri = Uri::try_from(url.as_str()).map_err(|_| failed("has no URL to be asked at"))?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", shown.expose_secret()))
        .map_err(|_| failed("gave a token for it that can't be sent"))?;
    bearer.set_sensitive(true);
    let http = Reach::new(Trust::System, proxies.clone(), TIMEOUT, TIMEOUT).client::<Empty<Bytes>>();
    let mut waits = WAITS.into_iter();
    loop {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        let error = match http.send(request).await {
            Ok(answer) if answer.status().is_success() => {
                let body =
                    read_body(answer.into_body(), input::SECRET).await.map_err(|_| failed("answered without one"))?;
                let answer = serde_json::from_slice::<Answer>(&Zeroizing::new(body));
                return answer.map(|answer| answer.value).map_err(|_| failed("answered without one"));
            }
            Ok(answer) => {
                let refused = failed(&format!("answered {}", answer.status().as_u16()));
                if !answer.status().is_server_error() {
                    return Err(refused.remedy("let the job have `permissions: { id-token: write }`"));
                }
                refused
            }
            Err(failure) => failed("could not be asked").maybe_remedy(failure.remedy()).because(failure),
        };
        let Some(wait) = waits.next() else { return Err(error) };
        tokio::time::sleep(wait).await;
    }
}

fn failed(how: &str) -> Error {
    Error::failed(format!("GitHub Actions, which should give this job a JWT to log in with, {how}"))
}
