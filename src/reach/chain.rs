//! Who signed whom, from a server's certificate up to one that is trusted: for those that the TLS library refuses to look at,
//! and to say which authority is at fault.

use std::cell::Cell;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::Facts;
use super::failure::TlsProblem;
use super::trust::Root;
use crate::keys::signed;

/// The most authorities between a server's certificate and a trusted one.
const LONGEST: usize = 6;

/// How many signatures are looked at before a certificate is taken for nobody's: what a server shows is not trusted yet, and each order of
/// it could be a chain (Go has the same bound).
const MOST_SIGNATURES: usize = 100;

/// What a server showed beside its own certificate, and what is trusted.
pub(super) struct Chains<'a> {
    pub(super) between: &'a [CertificateDer<'a>],
    pub(super) roots: &'a [Root],
    pub(super) now: UnixTime,
    /// How many signatures may still be looked at.
    left: Cell<usize>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(between: &'a [CertificateDer<'a>], roots: &'a [Root], now: UnixTime) -> Self {
        Self { between, roots, now, left: Cell::new(MOST_SIGNATURES) }
    }
}

impl Chains<'_> {
    /// Whether one certificate is signed by another; a no as well, once there were too many questions.
    fn signed(&self, authority: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> bool {
        let Some(left) = self.left.get().checked_sub(1) else { return false };
        self.left.set(left);
        signed(authority, certificate)
    }

    /// Whether some authority says how many others may be below it.
    pub(super) fn limit_length(&self) -> bool {
        let limits = |facts: &Facts| facts.may_have_below().is_some();
        let between = self.between.iter().filter_map(Facts::of).any(|facts| limits(&facts));
        between || self.roots.iter().any(|root| root.facts.as_ref().is_some_and(limits))
    }

    /// Whether a certificate leads to one that is trusted, with no more authorities in between than each allows. For which
    /// names they may sign is not looked at.
    pub(super) fn lead_up_from(&self, certificate: &CertificateDer<'_>) -> bool {
        self.lead_up(certificate, &mut Vec::new())
    }

    fn lead_up<'a>(&'a self, certificate: &CertificateDer<'_>, passed: &mut Vec<&'a CertificateDer<'a>>) -> bool {
        let signs = |der: &CertificateDer<'_>, facts: &Facts, below: usize| {
            facts.fault_as_authority(self.now).is_none()
                && facts.may_have_below().is_none_or(|most| below <= most)
                && self.signed(der, certificate)
        };
        let known = self.roots.iter().filter_map(|root| Some((&root.der, root.facts.as_ref()?)));
        if known.into_iter().any(|(der, facts)| signs(der, facts, passed.len())) {
            return true;
        }
        if passed.len() == LONGEST {
            return false;
        }
        for der in self.between {
            let is_next = !passed.contains(&der)
                && Facts::of(der).is_some_and(|facts| facts.is_authority() && signs(der, &facts, passed.len()));
            if is_next {
                passed.push(der);
                if self.lead_up(der, passed) {
                    return true;
                }
                passed.pop();
            }
        }
        false
    }

    /// Whether one of the authorities says for which names others may be.
    pub(super) fn constrain_names(&self) -> bool {
        let between = self.between.iter().filter_map(Facts::of).any(|facts| facts.constrains);
        between || self.roots.iter().any(|root| root.facts.as_ref().is_some_and(|facts| facts.constrains))
    }

    /// The authority at fault, where one signed this certificate or one in between, and may not.
    pub(super) fn at_fault(&self, certificate: &CertificateDer<'_>) -> Option<TlsProblem> {
        let of_roots = self.roots.iter().filter_map(|root| {
            let facts = root.facts.as_ref()?;
            Some((&root.der, facts.subject.clone(), facts.fault_as_authority(self.now)?))
        });
        let of_others = self.between.iter().filter_map(|der| {
            let facts = Facts::of(der)?;
            let fault = facts.fault_as_authority(self.now)?;
            Some((der, facts.subject, fault))
        });
        let below = || std::iter::once(certificate).chain(self.between);
        of_roots
            .map(|(der, subject, fault)| (der.as_ref(), subject, fault))
            .chain(of_others.map(|(der, subject, fault)| (der.as_ref(), subject, fault)))
            .find(|(der, ..)| {
                let authority = CertificateDer::from(*der);
                below().any(|below| below.as_ref() != *der && self.signed(&authority, below))
            })
            .map(|(_, subject, problem)| TlsProblem::Authority { subject, problem: problem.to_owned() })
    }
}
