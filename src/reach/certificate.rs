//! What a certificate says of itself, as far as it decides on trust.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName};

/// `serverAuth`, and whatever purpose.
const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// What a certificate says of itself.
pub(super) struct Facts {
    pub(super) subject: String,
    not_before: Duration,
    not_after: Duration,
    /// Only certificates of version 3 have extensions.
    is_v3: bool,
    basic: Option<BasicConstraints>,
    usage: Option<KeyUsage>,
    purposes: Option<Vec<ObjectIdentifier>>,
    /// Whether it says for which names those that it signs may be.
    pub(super) constrains: bool,
    /// Whether it has names that count: DNS names or addresses, as alternative names.
    pub(super) has_names: bool,
}

/// Why the time is not one at which a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    Before,
    After,
}

impl Facts {
    pub(super) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let names = tbs.get_extension::<SubjectAltName>().ok()?;
        let counts = |name: &GeneralName| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
        let validity = tbs.validity();
        Some(Self {
            subject: tbs.subject().to_string(),
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
            is_v3: tbs.version() == Version::V3,
            basic: tbs.get_extension::<BasicConstraints>().ok()?.map(|(_, basic)| basic),
            usage: tbs.get_extension::<KeyUsage>().ok()?.map(|(_, usage)| usage),
            purposes: tbs.get_extension::<ExtendedKeyUsage>().ok()?.map(|(_, purposes)| purposes.0),
            constrains: tbs.get_extension::<NameConstraints>().ok()?.is_some(),
            has_names: names.is_some_and(|(_, names)| names.0.iter().any(counts)),
        })
    }

    /// Whether it holds at a time.
    pub(super) fn holds_at(&self, now: UnixTime) -> Result<(), Outside> {
        let now = Duration::from_secs(now.as_secs());
        if now < self.not_before {
            Err(Outside::Before)
        } else if now > self.not_after {
            Err(Outside::After)
        } else {
            Ok(())
        }
    }

    /// Whether it may be a server's, or sign a server's.
    pub(super) fn is_for_servers(&self) -> bool {
        self.purposes.as_ref().is_none_or(|purposes| purposes.iter().any(|purpose| [SERVER, ANY].contains(purpose)))
    }

    /// Whether it is said to be for any purpose at all.
    pub(super) fn is_for_anything(&self) -> bool {
        self.purposes.as_ref().is_some_and(|purposes| purposes.contains(&ANY))
    }

    /// Whether it says that it is an authority's.
    pub(super) fn is_authority(&self) -> bool {
        self.basic.as_ref().is_some_and(|basic| basic.ca)
    }

    /// How many authorities may stand between it and a server's certificate.
    pub(super) fn may_have_below(&self) -> Option<usize> {
        self.basic.as_ref().filter(|basic| basic.ca).and_then(|basic| basic.path_len_constraint).map(usize::from)
    }

    /// What keeps it from signing others at a time.
    pub(super) fn fault_as_authority(&self, now: UnixTime) -> Option<&'static str> {
        let may_sign = self.usage.as_ref().is_none_or(KeyUsage::key_cert_sign);
        match self.holds_at(now) {
            // Before there were extensions, any certificate could.
            _ if self.is_v3 && !self.is_authority() => Some("may not sign certificates (it is no CA)"),
            _ if !may_sign => Some("may not sign certificates (its key usage doesn't say so)"),
            Err(Outside::After) => Some("has expired"),
            Err(Outside::Before) => Some("is not valid yet"),
            Ok(()) if !self.is_for_servers() => {
                Some("may not sign the certificates of servers (its extended key usage)")
            }
            Ok(()) => None,
        }
    }
}
