//! Proxies: which one stands between here and a server, as Go's `net/http` decides it for Vault's CLI and for kubectl.
//!
//! `HTTPS_PROXY` is for https and `HTTP_PROXY` for http, upper case first; `NO_PROXY` and this machine itself are exempt. What is
//! said for one server alone (`VAULT_PROXY_ADDR`, a kubeconfig's `proxy-url`) is for every request to it, without exemption.
//! `ALL_PROXY` is curl's: neither of the two reads it.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::no_proxy::NoProxy;
use super::{Environment, Origin, is_loopback};
use crate::error::{Error, Result};

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP: CONNECT, or the whole URL for plain http.
    Http,
    /// The same, through TLS to the proxy.
    Https,
    /// SOCKS, version 5; the proxy resolves names.
    Socks5,
}

/// User and password for a proxy.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password; it may be empty.
    pub password: SecretString,
}

/// A proxy.
#[derive(Clone)]
pub struct Proxy {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its host, as it stands in a URL.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it is shown; in no output.
    pub credentials: Option<Credentials>,
    /// What names it.
    pub origin: String,
}

impl fmt::Display for Proxy {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.protocol.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.origin)
    }
}

impl Protocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks5 => 1080,
        }
    }
}

impl Proxy {
    /// The proxy of a URL. `origin` is what names it; the URL, which may hold a password, is in no error.
    ///
    /// # Errors
    /// When it isn't the URL of a proxy that is known.
    pub fn parse(text: &str, origin: impl Into<String>) -> Result<Self> {
        let origin = origin.into();
        let Some(proxy) = Url::parse(text.trim()).ok().and_then(|url| Self::of(&url, &origin)) else {
            return Err(Error::usage(format!("{origin} is not the URL of an http, https or socks5 proxy"))
                .remedy("write it as http://proxy.example.internal:3128"));
        };
        Ok(proxy)
    }

    fn of(url: &Url, origin: &str) -> Option<Self> {
        let protocol = match url.scheme() {
            "http" => Protocol::Http,
            "https" => Protocol::Https,
            "socks5" | "socks5h" => Protocol::Socks5,
            _ => return None,
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = (!url.username().is_empty() || url.password().is_some()).then(|| Credentials {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()).into(),
        });
        Some(Self {
            protocol,
            host: url.host_str().filter(|host| !host.is_empty())?.to_owned(),
            port: url.port().unwrap_or(protocol.default_port()),
            credentials,
            origin: origin.to_owned(),
        })
    }
}

impl Credentials {
    /// The value of a `Proxy-Authorization` header.
    pub fn basic(&self) -> SecretString {
        use base64::Engine as _;
        let pair = zeroize::Zeroizing::new(format!("{}:{}", self.user, self.password.expose_secret()));
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.as_bytes())).into()
    }
}

/// What decides on the proxy for a server. The default knows none.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The one for every request.
    always: Option<Arc<Proxy>>,
    environment: Arc<Variables>,
}

/// The variables, each with its name; what is in them may hold a password.
#[derive(Clone, Default)]
struct Variables {
    http: Option<(&'static str, SecretString)>,
    https: Option<(&'static str, SecretString)>,
    no_proxy: NoProxy,
    /// In a CGI program, `HTTP_PROXY` is a header of whoever asks.
    cgi: bool,
    /// A variable that other programs read.
    unread: Option<&'static str>,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |variable: &Option<(&'static str, SecretString)>| variable.as_ref().map(|(name, _)| *name);
        write!(f, "{:?}, {:?}, {:?}", named(&self.http), named(&self.https), self.no_proxy)
    }
}

impl Proxies {
    /// Those that the environment names.
    pub fn of(environment: &Environment) -> Self {
        let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, environment.text(name)?)));
        let secret = |names| first(names).map(|(name, text)| (name, text.into()));
        let no_proxy = first(["NO_PROXY", "no_proxy"]).map(|(_, list)| NoProxy::parse(&list)).unwrap_or_default();
        let unread = first(["ALL_PROXY", "all_proxy"]).map(|(name, _)| name);
        Self {
            always: None,
            environment: Arc::new(Variables {
                http: secret(["HTTP_PROXY", "http_proxy"]),
                https: secret(["HTTPS_PROXY", "https_proxy"]),
                no_proxy,
                cgi: environment.text("REQUEST_METHOD").is_some(),
                unread,
            }),
        }
    }

    /// The same with one for Vault alone, where the variables of its CLI name one.
    ///
    /// # Errors
    /// When what they hold isn't the URL of a proxy.
    pub(super) fn for_vault(environment: &Environment) -> Result<Self> {
        let named = environment.vault_text("PROXY_ADDR").or_else(|| environment.vault_text("HTTP_PROXY"));
        let always = named.map(|(name, text)| Proxy::parse(&text, Origin::Variable(name).to_string())).transpose()?;
        Ok(Self { always: always.map(Arc::new), ..Self::of(environment) })
    }

    /// The same with one for every request.
    #[must_use]
    pub fn with(&self, always: Proxy) -> Self {
        Self { always: Some(Arc::new(always)), ..self.clone() }
    }

    /// Only what the environment says for all servers.
    #[must_use]
    pub fn of_environment(&self) -> Self {
        Self { always: None, ..self.clone() }
    }

    /// What names the one for every request, where there is one.
    pub fn origin_for_one(&self) -> Option<String> {
        self.always.as_ref().map(|proxy| proxy.origin.clone())
    }

    /// Whether there is one for every request.
    pub fn is_for_one(&self) -> bool {
        self.always.is_some()
    }

    /// Whether one for every request is on another machine, so that what is for this one leaves it.
    pub fn lead_away(&self) -> bool {
        let is_here = |proxy: &Proxy| {
            let url = Url::parse(&format!("http://{}:{}", proxy.host, proxy.port));
            url.is_ok_and(|url| is_loopback(&url))
        };
        self.always.as_ref().is_some_and(|proxy| !is_here(proxy))
    }

    /// The proxy between here and a server. Brackets around the host don't matter.
    ///
    /// # Errors
    /// When a variable names one, and can't be used.
    pub fn between(&self, scheme: &str, host: &str, port: u16) -> Result<Option<Arc<Proxy>>> {
        if let Some(proxy) = &self.always {
            return Ok(Some(Arc::clone(proxy)));
        }
        let Variables { http, https, no_proxy, cgi, .. } = &*self.environment;
        let Some((name, text)) = (if scheme == "https" { https } else { http }) else { return Ok(None) };
        if scheme != "https" && *cgi {
            return Err(Error::usage(format!("{name} is not used where REQUEST_METHOD is set"))
                .because("in a CGI program it is a header of whoever asks")
                .remedy(format!("unset REQUEST_METHOD, or {name}")));
        }
        if no_proxy.names(host.trim_matches(['[', ']']), port) {
            return Ok(None);
        }
        let text = text.expose_secret();
        // As in Go, a host and a port are one for http.
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        Proxy::parse(&text, *name).map(|proxy| Some(Arc::new(proxy)))
    }

    /// A variable that is set and names a proxy to other programs, where none is used here.
    pub fn unread(&self) -> Option<&'static str> {
        let Variables { http, https, unread, .. } = &*self.environment;
        unread.filter(|_| self.always.is_none() && http.is_none() && https.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(variables: &[(&str, &str)], url: &str) -> Result<Option<String>> {
        let url: Url = url.parse().unwrap();
        let proxies = Proxies::for_vault(&Environment::from_pairs(variables.iter().copied()))?;
        let port = url.port_or_known_default().unwrap();
        let proxy = proxies.between(url.scheme(), url.host_str().unwrap(), port)?;
        Ok(proxy.map(|proxy| format!("{proxy:?}")))
    }

    #[test]
    fn the_variable_of_the_scheme_counts_in_upper_case_first() {
        for (variables, url, expected) in [
            (&[][..], "https://v", None),
            (&[("HTTPS_PROXY", "http://p:1")], "https://v", Some("http://p:1 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "http://p:1")], "http://v", None),
            (&[("HTTP_PROXY", "http://p:1")], "https://v", None),
            (&[("http_proxy", "http://p:1")], "http://v", Some("http://p:1 (http_proxy)")),
            (
                &[("https_proxy", "http://p:1"), ("HTTPS_PROXY", "http://q:1")],
                "https://v",
                Some("http://q:1 (HTTPS_PROXY)"),
            ),
            (&[("https_proxy", "http://p:1"), ("HTTPS_PROXY", "")], "https://v", Some("http://p:1 (https_proxy)")),
            (&[("ALL_PROXY", "http://p:1"), ("all_proxy", "http://p:1")], "https://v", None),
            (&[("HTTPS_PROXY", "p:3128")], "https://v", Some("http://p:3128 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "10.0.0.1:3128")], "https://v", Some("http://10.0.0.1:3128 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "p")], "https://v", Some("http://p:80 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "https://p")], "https://v", Some("https://p:443 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "socks5://p")], "https://v", Some("socks5://p:1080 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "socks5h://[fd00::1]:9")], "https://v", Some("socks5://[fd00::1]:9 (HTTPS_PROXY)")),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")], "https://v", None),
            (&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", "v")], "https://v", None),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "x"), ("no_proxy", "v")],
                "https://v",
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "v:8200")], "https://v:8200", None),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "v:443")], "https://v", None),
            (&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "fd00::/8")], "https://[fd00::1]", None),
            (&[("HTTPS_PROXY", "http://p:1")], "https://127.0.0.1:8200", None),
            (&[("HTTPS_PROXY", "http://p:1")], "https://[::1]:8200", None),
            (&[("HTTPS_PROXY", "no URL at all")], "https://127.0.0.1:8200", None),
            // What is for Vault alone is for Vault always.
            (
                &[("VAULT_PROXY_ADDR", "http://p:1"), ("NO_PROXY", "*")],
                "https://127.0.0.1",
                Some("http://p:1 (VAULT_PROXY_ADDR)"),
            ),
            (&[("VAULT_HTTP_PROXY", "http://p:1")], "https://v", Some("http://p:1 (VAULT_HTTP_PROXY)")),
            (
                &[("VAULT_HTTP_PROXY", "http://p:1"), ("VAULT_PROXY_ADDR", "http://q:1")],
                "http://v",
                Some("http://q:1 (VAULT_PROXY_ADDR)"),
            ),
            (
                &[("BAO_PROXY_ADDR", "socks5://p:1"), ("VAULT_PROXY_ADDR", "http://q:1")],
                "https://v",
                Some("socks5://p:1 (BAO_PROXY_ADDR)"),
            ),
        ] {
            assert_eq!(between(variables, url).unwrap().as_deref(), expected, "{variables:?} {url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_without_its_password() {
        for (variables, named) in [
            (&[("HTTPS_PROXY", "ftp://u:hush@p:1")][..], "HTTPS_PROXY"),
            (&[("HTTPS_PROXY", "http://u:hush@p:port")], "HTTPS_PROXY"),
            (&[("VAULT_PROXY_ADDR", "u:hush@p:1")], "VAULT_PROXY_ADDR"),
            (&[("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")], "HTTP_PROXY"),
        ] {
            let scheme = if named == "HTTP_PROXY" { "http" } else { "https" };
            let error = between(variables, &format!("{scheme}://v")).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(named) && !said.contains("hush") && error.kind().exit_code() == 64, "{said}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy = Proxy::parse("http://us%40er:pa%3Ass@p:1", "HTTPS_PROXY").unwrap();
        assert_eq!((proxy.to_string(), format!("{proxy:?}")), ("http://p:1".into(), "http://p:1 (HTTPS_PROXY)".into()));
        let credentials = proxy.credentials.unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.expose_secret()), ("us@er", "pa:ss"));
        assert_eq!(credentials.basic().expose_secret(), "Basic dXNAZXI6cGE6c3M=");
        let proxies = Proxies::of(&Environment::from_pairs([("HTTPS_PROXY", "http://u:hush@p:1")]));
        assert!(!format!("{proxies:?}").contains("hush"));
    }

    #[test]
    fn a_variable_of_other_programs_is_told_of_where_none_is_used() {
        let unread = |pairs: &[(&str, &str)]| Proxies::of(&Environment::from_pairs(pairs.iter().copied())).unread();
        assert_eq!(unread(&[("all_proxy", "socks5://p")]), Some("all_proxy"));
        assert_eq!(unread(&[("ALL_PROXY", "socks5://p"), ("HTTPS_PROXY", "p:1")]), None);
    }
}
