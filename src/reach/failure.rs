//! Why no answer came: one reader for the errors of names, connections, proxies and TLS.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use hyper_util::client::legacy;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};
use serde::{Deserialize, Serialize};

use crate::settings::Proxy;

/// Why a server can't be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreachable {
    /// The host's name has no address.
    UnknownHost,
    /// Nobody listens there.
    Refused,
    /// No connection came about in time.
    ConnectTimeout,
    /// The connection stood, but the answer didn't come in time.
    AnswerTimeout,
    /// The connection ended before the answer.
    Broken,
    /// The proxy in between doesn't let through.
    Proxy(Box<ProxyProblem>),
    /// Something else; the cause says what.
    Other,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownHost => "its host name could not be resolved",
            Self::Refused => "nothing listens there",
            Self::ConnectTimeout => "no connection came about in time",
            Self::AnswerTimeout => "no answer came in time",
            Self::Broken => "the connection ended before the answer",
            Self::Proxy(_) => "the proxy in between does not let through",
            Self::Other => "there is no connection",
        })
    }
}

/// What is wrong with a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyProblem {
    /// The proxy, without credentials.
    pub proxy: String,
    /// What names it.
    pub origin: String,
    /// What is wrong.
    pub fault: ProxyFault,
    /// Whether it was shown a user and a password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_credentials: bool,
}

/// What a proxy does in place of letting through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyFault {
    /// There is no connection to it; the words of the connection.
    Unreachable(String),
    /// Its certificate, or what it speaks in place of TLS.
    Tls(TlsProblem),
    /// It wants a user and a password, or others.
    Credentials(String),
    /// It refuses the way to the server.
    Refused(String),
    /// What names it can't be used.
    Unusable(String),
}

impl fmt::Display for ProxyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxy, origin, fault, .. } = self;
        match fault {
            ProxyFault::Unreachable(said) => write!(f, "the proxy {proxy} ({origin}) can't be reached: {said}"),
            ProxyFault::Tls(problem) => {
                write!(f, "there is no secure connection to the proxy {proxy} ({origin}): {problem}")
            }
            ProxyFault::Credentials(said) => {
                write!(f, "the proxy {proxy} ({origin}) does not accept who asks: {said}")
            }
            ProxyFault::Refused(said) => write!(f, "the proxy {proxy} ({origin}) refuses the connection: {said}"),
            ProxyFault::Unusable(said) => f.write_str(said),
        }
    }
}

impl ProxyProblem {
    pub(super) fn new(proxy: &Proxy, fault: ProxyFault) -> Self {
        let has_credentials = proxy.credentials.is_some();
        Self { proxy: proxy.to_string(), origin: proxy.origin.clone(), fault, has_credentials }
    }

    /// What the user can do about it.
    pub fn remedy(&self) -> String {
        let Self { proxy, origin, fault, .. } = self;
        // What is set for all servers has exceptions; what is set for one is removed instead.
        let exempt = if ["HTTP_PROXY", "HTTPS_PROXY"].contains(&origin.to_uppercase().as_str()) {
            "name the server in NO_PROXY"
        } else {
            "remove it"
        };
        match fault {
            ProxyFault::Unreachable(_) | ProxyFault::Unusable(_) => {
                format!("correct {origin}, or {exempt} if no proxy is needed")
            }
            ProxyFault::Tls(_) => {
                format!("correct {origin}; the certificate of a proxy is judged by the same CA as the server's")
            }
            ProxyFault::Credentials(_) if self.has_credentials => {
                format!("correct the user and password in {origin}, or take them out: the proxy does not take them")
            }
            ProxyFault::Credentials(_) => {
                let there = proxy.split_once("://").unwrap_or(("SCHEME", proxy.as_str()));
                format!(
                    "write the user and password that it takes into {origin}: {}://USER:PASSWORD@{}",
                    there.0, there.1
                )
            }
            ProxyFault::Refused(_) => {
                format!("ask who runs the proxy to let this through, or {exempt} if no proxy is needed ({origin})")
            }
        }
    }
}

/// What is wrong with a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsProblem {
    /// No authority that is trusted signed the certificate.
    UnknownAuthority {
        /// Where the trusted ones come from.
        trusted: String,
    },
    /// The certificate is for other names.
    WrongName {
        /// Those names, as far as they are known.
        presented: Vec<String>,
    },
    /// The certificate has no names that count.
    NoNames,
    /// The certificate has expired.
    Expired,
    /// The certificate will be valid later.
    NotYetValid,
    /// Something is wrong with the authority that signed it.
    Authority {
        /// Its subject.
        subject: String,
        /// What is wrong, such as `has expired`.
        problem: String,
    },
    /// The address says https, the server speaks http.
    ServerSpeaksHttp,
    /// The address says http, the server speaks https.
    ServerSpeaksHttps,
    /// The server speaks no version of TLS that is still good for anything.
    TooOld,
    /// The server wants a client certificate, or another one.
    ClientCertificate(String),
    /// Something else, in plain words.
    Other(String),
}

/// How many names of a certificate are shown.
const SHOWN: usize = 5;

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAuthority { trusted } => write!(f, "its certificate is signed by no CA that {trusted} trusts"),
            Self::WrongName { presented } if presented.is_empty() => f.write_str("its certificate is for another name"),
            Self::WrongName { presented } => {
                let names = names(presented);
                let more =
                    if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
                write!(f, "its certificate is for other names: {}{more}", names[..names.len().min(SHOWN)].join(", "))
            }
            Self::NoNames => {
                f.write_str("its certificate has no subject alternative names, and a common name is not looked at")
            }
            Self::Expired => f.write_str("its certificate has expired"),
            Self::NotYetValid => f.write_str("its certificate is not valid yet"),
            Self::Authority { subject, problem } => {
                write!(f, "its certificate is signed by the CA {subject}, which {problem}")
            }
            Self::ServerSpeaksHttp => f.write_str("the server speaks plain http, not https"),
            Self::ServerSpeaksHttps => f.write_str("the server speaks https, not plain http"),
            Self::TooOld => f.write_str("the server speaks neither TLS 1.3 nor TLS 1.2, only older versions"),
            Self::ClientCertificate(said) => write!(f, "the server wants a client certificate that it knows ({said})"),
            Self::Other(said) => f.write_str(said),
        }
    }
}

impl StdError for TlsProblem {}

impl TlsProblem {
    /// Whether it is about the server's certificate, and not about what is spoken.
    pub fn is_of_the_certificate(&self) -> bool {
        !matches!(self, Self::ServerSpeaksHttp | Self::ServerSpeaksHttps | Self::TooOld | Self::ClientCertificate(_))
            && !matches!(self, Self::Other(said) if !said.contains("certificate"))
    }

    /// Whether the authority is a trusted one, and the certificate is for other names.
    pub fn is_of_the_name(&self) -> bool {
        matches!(self, Self::WrongName { .. } | Self::NoNames)
    }

    fn of(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(judged))) => judged
                .downcast_ref::<Self>()
                .cloned()
                .unwrap_or_else(|| Self::Other("its certificate is not accepted".to_owned())),
            rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
                Self::Other("it doesn't have the key of its certificate".to_owned())
            }
            rustls::Error::InvalidCertificate(_) => Self::Other("its certificate is not accepted".to_owned()),
            rustls::Error::InvalidMessage(_) => Self::ServerSpeaksHttp,
            rustls::Error::AlertReceived(
                alert @ (AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::AccessDenied),
            ) => Self::ClientCertificate(format!("{alert:?}")),
            rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            )
            | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::TooOld,
            rustls::Error::AlertReceived(alert) => Self::Other(format!("the server ends the handshake ({alert:?})")),
            rustls::Error::PeerIncompatible(_) => {
                Self::Other("the server knows no version or method of TLS that is accepted here".to_owned())
            }
            other => Self::Other(other.to_string()),
        }
    }
}

/// The names of a certificate without the library's wrapping (`DnsName("vault")`).
pub(crate) fn names(presented: &[String]) -> Vec<String> {
    let bare = |name: &String| match name.split_once('(') {
        Some((_, inner)) => inner.trim_end_matches(')').trim_matches('"').to_owned(),
        None => name.clone(),
    };
    presented.iter().map(bare).collect()
}

/// The kind of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is no connection, or no answer.
    Unreachable(Unreachable),
    /// There is no secure connection.
    Tls(TlsProblem),
}

/// An exchange that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeFailure {
    pub(crate) why: Why,
    /// The system's own words.
    pub(crate) said: String,
    /// Whether nothing can have been sent.
    pub(crate) connecting: bool,
}

impl fmt::Display for ExchangeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl StdError for ExchangeFailure {}

impl ExchangeFailure {
    /// One of the connection, with the system's words.
    pub(super) fn unreachable(how: Unreachable, said: impl Into<String>, connecting: bool) -> Self {
        Self { why: Why::Unreachable(how), said: said.into(), connecting }
    }

    /// What is no URL, which nobody can be asked at.
    pub(crate) fn no_url(text: &str) -> Self {
        Self::unreachable(Unreachable::UnknownHost, format!("{text:?} is no URL"), true)
    }

    /// One of a proxy.
    pub(super) fn of_proxy(problem: ProxyProblem) -> Self {
        let said = problem.to_string();
        Self::unreachable(Unreachable::Proxy(Box::new(problem)), said, true)
    }

    /// One of TLS.
    pub(super) fn tls(problem: TlsProblem, connecting: bool) -> Self {
        Self { said: problem.to_string(), why: Why::Tls(problem), connecting }
    }

    /// Sorts what came of an exchange.
    pub(super) fn of_exchange(error: &legacy::Error) -> Self {
        Self::of(error, error.is_connect())
    }

    /// Sorts an error.
    pub(super) fn of(error: &(dyn StdError + 'static), connecting: bool) -> Self {
        if let Some(failure) = in_chain::<Self>(error) {
            return failure.clone();
        }
        if let Some(cause) = in_chain::<rustls::Error>(error) {
            return Self::tls(TlsProblem::of(cause), connecting);
        }
        let kind = in_chain::<io::Error>(error).map(io::Error::kind);
        let how = match kind {
            Some(io::ErrorKind::ConnectionRefused) => Unreachable::Refused,
            Some(io::ErrorKind::TimedOut) if connecting => Unreachable::ConnectTimeout,
            _ if connecting => Unreachable::Other,
            _ => Unreachable::Broken,
        };
        let said = in_chain::<hyper::Error>(error).and_then(of_http).map_or_else(|| innermost(error), str::to_owned);
        Self::unreachable(how, said, connecting)
    }

    /// What is wrong with the server's certificate, if that is what is wrong.
    pub(crate) fn certificate(&self) -> Option<&TlsProblem> {
        match &self.why {
            Why::Tls(problem) if problem.is_of_the_certificate() => Some(problem),
            _ => None,
        }
    }

    /// What the user can do, where a proxy is at fault.
    pub(crate) fn remedy(&self) -> Option<String> {
        match &self.why {
            Why::Unreachable(Unreachable::Proxy(problem)) => Some(problem.remedy()),
            _ => None,
        }
    }
}

/// What is wrong with an answer that is none in HTTP.
fn of_http(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse_too_large() {
        Some("the connection broke off: the head of the answer is too large")
    } else if error.is_parse() {
        Some("what answers does not speak HTTP/1.1")
    } else {
        None
    }
}

/// The first error of type `T` among the causes, also inside an [`io::Error`], which hides what it wraps.
pub(crate) fn in_chain<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // Its `source` would be the cause of what it wraps.
            next = Some(inner);
            continue;
        }
        next = error.source();
    }
    None
}

/// What the last cause says; those before it repeat it.
fn innermost(error: &dyn StdError) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_errors_are_told_apart() {
        let judged = TlsProblem::UnknownAuthority { trusted: "ca.pem (VAULT_CACERT)".to_owned() };
        let other = CertificateError::Other(OtherError(std::sync::Arc::new(judged.clone())));
        assert_eq!(TlsProblem::of(&rustls::Error::InvalidCertificate(other)), judged);
        assert_eq!(judged.to_string(), "its certificate is signed by no CA that ca.pem (VAULT_CACERT) trusts");
        let alert = TlsProblem::of(&rustls::Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(matches!(alert, TlsProblem::ClientCertificate(_)) && !alert.is_of_the_certificate());
        let revoked = TlsProblem::of(&rustls::Error::InvalidCertificate(CertificateError::Revoked));
        assert!(matches!(revoked, TlsProblem::Other(_)) && revoked.is_of_the_certificate());
    }

    #[test]
    fn a_cause_is_found_inside_an_io_error() {
        let hidden = io::Error::other(io::Error::other(rustls::Error::DecryptError));
        assert_eq!(in_chain::<rustls::Error>(&hidden), Some(&rustls::Error::DecryptError));
        assert!(in_chain::<rustls::Error>(&io::Error::from(io::ErrorKind::NotFound)).is_none());
    }

    #[test]
    fn names_of_a_certificate_are_shown_bare() {
        let presented = ["DnsName(\"vault.example\")".to_owned(), "IpAddress(10.0.0.1)".to_owned()];
        assert_eq!(names(&presented), ["vault.example", "10.0.0.1"]);
        let many = TlsProblem::WrongName { presented: vec!["DnsName(\"a.example\")".to_owned(); 7] };
        assert!(many.to_string().ends_with("a.example and 2 more"), "{many}");
    }
}
