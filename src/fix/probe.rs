//! Commands that look at a server from where they are run.

use url::Url;

use super::Command;

/// Shows the certificate of the server at an address.
pub fn openssl(address: &str) -> Command {
    let url = Url::parse(address).ok();
    let place = url.as_ref().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    Command::of("openssl".to_owned()).fixed("s_client").flag("-connect", place.as_deref().unwrap_or(address))
}

/// Asks an API server for its version, with its CA in the file `ca.crt`.
pub fn curl_version(host: &str) -> Command {
    let url = format!("{}/version", host.trim_end_matches('/'));
    Command::of("curl".to_owned()).fixed("--cacert ca.crt").name(&url)
}
