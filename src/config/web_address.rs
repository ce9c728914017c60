//! The addresses of servers.

use url::Url;

use super::diagnostic::Problems;
use super::entry::Located;

/// Reads the URL of a server; `example` is shown in remedies. Whether plain http will do is not judged here.
pub(super) fn web_address(field: &str, text: &Located<String>, example: &str, problems: &mut Problems) -> Option<Url> {
    match server_url(&text.value) {
        Ok(address) => Some(address),
        Err(problem) => {
            problems.add(text.at, format!("`{field}` {problem}"), format!("write a URL such as `{example}`"));
            None
        }
    }
}

/// Reads the URL of a server.
///
/// # Errors
/// What the text is or has instead, to be put after its name.
pub fn server_url(written: &str) -> Result<Url, String> {
    let address = Url::parse(written).map_err(|error| format!("is not a URL: {error}"))?;
    let problem = if !address.username().is_empty() || address.password().is_some() {
        // The text isn't shown: it may hold a password.
        "contains a user name or a password, which don't belong there"
    } else if !matches!(address.scheme(), "http" | "https") {
        "is not an http or https URL"
    } else if address.host_str().is_none_or(str::is_empty) {
        "names no host"
    } else if address.query().is_some() || address.fragment().is_some() {
        "has a query or a fragment (`?` or `#`)"
    } else if written.contains(char::is_whitespace) || written.contains(char::is_control) {
        "contains white space"
    } else {
        return Ok(address);
    };
    Err(problem.to_owned())
}

/// Whether somebody in between could answer in a server's place: plain http to another machine.
pub(super) fn is_in_between(address: &Url) -> bool {
    let loopback = match address.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    address.scheme() == "http" && !loopback
}
