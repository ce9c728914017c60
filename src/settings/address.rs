//! Vault's address: what is accepted as one, and when two are the same.

use url::{Host, Url};

use crate::error::{Error, Result};

use super::Origin;

/// Parses an address as a flag or a variable gives it.
///
/// # Errors
/// What [`check`] refuses, and what isn't a URL. The text is never quoted, because it may hold a password.
pub(super) fn parse(text: &str, origin: &Origin) -> Result<Url> {
    let text = text.trim();
    match Url::parse(text) {
        Ok(url) => check(url, origin),
        Err(cause) => Err(Error::usage(format!("the Vault address of {origin} is not a URL"))
            .because(cause)
            .remedy("write it with its scheme, such as https://vault.example.internal:8200")),
    }
}

/// Checks an address and brings it into the form that requests are built on: no slash at the end of its path.
///
/// # Errors
/// Schemes other than http and https, and URLs with user, password, query or fragment.
pub(super) fn check(mut url: Url, origin: &Origin) -> Result<Url> {
    let refuse = |problem: &str, remedy: &str| {
        Err(Error::usage(format!("the Vault address of {origin} {problem}")).remedy(remedy.to_owned()))
    };
    match url.scheme() {
        "http" | "https" => {}
        "unix" => {
            return refuse(
                "is a Unix socket, which is not supported",
                "use a TCP listener of the server, agent or proxy, such as http://127.0.0.1:8200",
            );
        }
        _ => return refuse("is not an http or https URL", "write it as https://vault.example.internal:8200"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(
            "contains a user name or password",
            "leave them away: Vault is asked with a token, from VAULT_TOKEN or --token-file",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or a fragment", "leave away what follows `?` or `#`");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path == "/v1" || path.ends_with("/v1") {
        return refuse("ends in /v1, which is added to it for every request", "leave /v1 away");
    }
    url.set_path(&path);
    Ok(url)
}

/// Whether two checked addresses are the same server and path.
///
/// `Url` has lower-cased the host and dropped the scheme's default port, [`check`] the slash at the end.
pub(super) fn same(a: &Url, b: &Url) -> bool {
    a == b
}

/// Whether connections to this address stay on this machine: `localhost`, `127.0.0.0/8` or `::1`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
        }
        None => false,
    }
}

/// The address as people write it: no slash at the end.
pub(crate) fn show(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Url> {
        parse(text, &Origin::Flag("--address"))
    }

    #[test]
    fn addresses_that_are_refused_are_not_quoted() {
        for text in [
            "https://user:hunter2@vault:8200",
            "https://hunter2@vault:8200",
            "https://vault:8200/?token=hunter2",
            "https://vault:8200/#hunter2",
            "unix:///run/hunter2.sock",
            "hunter2:8200",
            "https://vault:8200/v1/",
            "ftp://hunter2",
            "hunter2",
            "https://",
            "",
        ] {
            let error = parsed(text).unwrap_err();
            assert_eq!(error.kind().exit_code(), 64, "{text}");
            assert!(!error.remedies().is_empty(), "{text}");
            let told = format!("{error} {:?} {:?}", error.causes(), error.remedies());
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn the_same_server_is_recognised_in_its_spellings() {
        let equal = [
            ("https://vault.example", "https://VAULT.example:443/"),
            ("http://[::1]:8200", "http://[0:0:0:0:0:0:0:1]:8200/"),
            ("https://gate.example/vault", "https://gate.example/vault/"),
        ];
        for (a, b) in equal {
            assert!(same(&parsed(a).unwrap(), &parsed(b).unwrap()), "{a} {b}");
        }
        for (a, b) in [
            ("https://vault.example:8200", "https://vault.example"),
            ("https://vault.example", "http://vault.example"),
            ("https://gate.example/vault", "https://gate.example/other"),
        ] {
            assert!(!same(&parsed(a).unwrap(), &parsed(b).unwrap()), "{a} {b}");
        }
    }

    #[test]
    fn loopback_is_told_from_what_only_looks_like_it() {
        for (text, expected) in [
            ("http://127.0.0.1:8200", true),
            ("http://127.9.9.9", true),
            ("http://[::1]", true),
            ("http://localhost:8200", true),
            ("http://LOCALHOST", true),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(is_loopback(&parsed(text).unwrap()), expected, "{text}");
        }
    }
}
