//! The addresses of servers.

use url::Url;

use super::diagnostic::Problems;
use super::entry::Located;

/// Reads the URL of a server; `example` is shown in remedies. Whether plain http will do is not judged here.
pub(super) fn web_address(field: &str, text: &Located<String>, example: &str, problems: &mut Problems) -> Option<Url> {
    let remedy = format!("write a URL such as `{example}`");
    let written = text.value.as_str();
    let address = match Url::parse(written) {
        Ok(address) => address,
        Err(error) => {
            problems.add(text.at, format!("`{field}` is not a URL: {error}"), remedy);
            return None;
        }
    };
    let problem = if !address.username().is_empty() || address.password().is_some() {
        // The text isn't shown: it may hold a password.
        "contains a user name or a password, which don't belong in this file"
    } else if !matches!(address.scheme(), "http" | "https") {
        "is not an http or https URL"
    } else if address.host_str().is_none_or(str::is_empty) {
        "names no host"
    } else if address.query().is_some() || address.fragment().is_some() {
        "has a query or a fragment (`?` or `#`)"
    } else if written.contains(char::is_whitespace) || written.contains(char::is_control) {
        "contains white space"
    } else {
        return Some(address);
    };
    problems.add(text.at, format!("`{field}` {problem}"), remedy);
    None
}
