//! Whose certificates are accepted.

use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, TrustAnchor};

use super::certificate::Facts;

/// Whose certificates are accepted.
#[derive(Clone)]
pub enum Trust {
    /// Those of the authorities that this machine trusts.
    System,
    /// Those of these authorities, and these themselves.
    Only {
        /// They.
        authorities: Trusted,
        /// Where they come from, for errors.
        named: String,
    },
    /// Anybody's, unseen.
    Anything,
}

/// Certificates that are trusted.
#[derive(Clone)]
pub struct Trusted(pub(super) Arc<Vec<Root>>);

/// A certificate that is trusted.
pub(super) struct Root {
    pub(super) der: CertificateDer<'static>,
    /// `None` where it can't be read: it is compared all the same.
    pub(super) facts: Option<Facts>,
    pub(super) anchor: Option<TrustAnchor<'static>>,
}

/// As Go does on every system but Windows and macOS: `SSL_CERT_FILE` and `SSL_CERT_DIR`, else where the system keeps them.
static SYSTEM: LazyLock<Trusted> = LazyLock::new(|| {
    // What can't be read among them is passed over: it may be one of many.
    Trusted::of(rustls_native_certs::load_native_certs().certs)
});

impl Trusted {
    fn of(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        Self(Arc::new(certificates.into_iter().map(Root::of).collect()))
    }
}

impl Root {
    fn of(der: CertificateDer<'static>) -> Self {
        // A store of one: that is how an anchor is made of a certificate.
        let mut store = rustls::RootCertStore::empty();
        let anchor = store.add(der.clone()).ok().and_then(|()| store.roots.pop());
        Self { facts: Facts::of(&der), anchor, der }
    }
}

impl Trust {
    /// Trusts these and nobody else.
    pub fn only(certificates: impl IntoIterator<Item = CertificateDer<'static>>, named: impl Into<String>) -> Self {
        Self::Only { authorities: Trusted::of(certificates), named: named.into() }
    }

    /// Those that are trusted, and where they come from; `None` where everybody is.
    pub(super) fn authorities(&self) -> Option<(Trusted, &str)> {
        match self {
            Self::System => Some((SYSTEM.clone(), "this machine")),
            Self::Only { authorities, named } => Some((authorities.clone(), named)),
            Self::Anything => None,
        }
    }
}
