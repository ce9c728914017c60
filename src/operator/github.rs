//! The JWT that GitHub Actions gives to a job with `permissions: { id-token: write }`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::input::{self, read_body};
use crate::names::Audience;

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
pub(super) async fn token(url: &Url, shown: &SecretString, audience: Option<&Audience>) -> Result<SecretString> {
    let mut url = url.clone();
    if let Some(audience) = audience {
        url.query_pairs_mut().append_pair("audience", audience.as_str());
    }
    let mut builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    if url.scheme() == "http" {
        // No authority is needed, and no proxy: it is this machine.
        builder = builder.tls_certs_only([]).no_proxy();
    }
    let http = builder.build().map_err(|error| failed("could not be asked").because(error.without_url()))?;
    let mut waits = WAITS.into_iter();
    loop {
        let error = match http.get(url.clone()).bearer_auth(shown.expose_secret()).send().await {
            Ok(answer) if answer.status().is_success() => {
                let body = read_body(answer, input::SECRET).await.map_err(|_| failed("answered without one"))?;
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
            Err(error) => failed("could not be asked").because(error.without_url()),
        };
        let Some(wait) = waits.next() else { return Err(error) };
        tokio::time::sleep(wait).await;
    }
}

fn failed(how: &str) -> Error {
    Error::failed(format!("GitHub Actions, which should give this job a JWT to log in with, {how}"))
}
