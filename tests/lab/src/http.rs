//! Requests to the servers: with a CA of the lab's, no proxies and no redirects.

use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::Client;
use reqwest::header::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::{Context, Error, Result};

const NO_CLIENT: &str = "can't make an HTTP client";
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client that trusts the certificates of `ca` (PEM), and nothing else.
pub(crate) fn client(ca: &str) -> Result<Client> {
    Client::builder()
        .tls_backend_preconfigured(trusting(ca)?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .context(|| NO_CLIENT.to_owned())
}

/// The same, for what doesn't block.
pub(crate) fn asynchronous(ca: &str) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(trusting(ca)?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .context(|| NO_CLIENT.to_owned())
}

fn trusting(ca: &str) -> Result<rustls::ClientConfig> {
    let what = || NO_CLIENT.to_owned();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.context(what)?).context(what)?;
    }
    // The provider is named here, so that what a test runs in this process still has to choose its own.
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .context(what)?;
    Ok(tls.with_root_certificates(roots).with_no_client_auth())
}

/// Sends one request, and answers with the status and the text.
pub(crate) fn send(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<(u16, String)> {
    let what = format!("{method} {url} failed");
    let what = || what.clone();
    let mut request = client.request(method, url);
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| Error::new(format!("the value of {name} isn't fit for a header")))?;
        value.set_sensitive(true);
        request = request.header(*name, value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().context(what)?;
    let status = response.status().as_u16();
    Ok((status, response.text().context(what)?))
}

/// An answer's JSON, or a JSON string when it is something else, or null when it is empty.
pub(crate) fn json(text: String) -> Value {
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_sorts_become_json() {
        assert_eq!(json(String::new()), Value::Null);
        assert_eq!(json("{\"a\":1}".into()), serde_json::json!({ "a": 1 }));
        assert_eq!(json("not found\n".into()), serde_json::json!("not found\n"));
    }
}
