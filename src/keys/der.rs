//! `SubjectPublicKeyInfo` in DER, as RFC 3279 (RSA), RFC 5480 (EC) and RFC 8410 (Ed25519) lay it out.

use rsa::pkcs1;
use x509_cert::der::asn1::{AnyRef, BitStringRef, UintRef};
use x509_cert::der::{self, Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::{Curve, KeyError};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The numbers of a key, before they are judged.
pub(super) enum Material<'a> {
    /// Big-endian, without leading zeros.
    Rsa {
        modulus: &'a [u8],
        exponent: &'a [u8],
    },
    /// As in SEC 1.
    Ec {
        curve: Curve,
        point: &'a [u8],
    },
    Ed25519 {
        point: &'a [u8],
    },
}

pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, KeyError> {
    let key = pkcs1::RsaPublicKeyRef { modulus: number(modulus)?, public_exponent: number(exponent)? };
    spki(RSA, Some(AnyRef::NULL), &key.to_der()?)
}

/// A big-endian number, where no bytes at all are zero: DER has no empty INTEGER.
fn number(bytes: &[u8]) -> Result<UintRef<'_>, KeyError> {
    Ok(UintRef::new(if bytes.is_empty() { &[0] } else { bytes })?)
}

pub(super) fn ec(curve: Curve, point: &[u8]) -> Result<Vec<u8>, KeyError> {
    let named = match curve {
        Curve::P256 => &P256,
        Curve::P384 => &P384,
        Curve::P521 => &P521,
    };
    spki(EC, Some(AnyRef::from(named)), point)
}

pub(super) fn ed25519(point: &[u8]) -> Result<Vec<u8>, KeyError> {
    spki(ED25519, None, point)
}

fn spki(oid: ObjectIdentifier, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Result<Vec<u8>, KeyError> {
    let spki = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid, parameters },
        subject_public_key: BitStringRef::from_bytes(key)?,
    };
    Ok(spki.to_der()?)
}

pub(super) fn decode(spki: &[u8]) -> Result<Material<'_>, KeyError> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki)?;
    let AlgorithmIdentifierRef { oid, parameters } = spki.algorithm;
    let Some(key) = spki.subject_public_key.as_bytes() else {
        return Err(KeyError::Der("the key isn't a whole number of bytes".into()));
    };
    match oid {
        RSA => {
            // Go's crypto/x509 insists on the NULL too: `RSA key missing NULL parameters`.
            if parameters != Some(AnyRef::NULL) {
                return Err(KeyError::Parameters("RSA"));
            }
            let key = pkcs1::RsaPublicKeyRef::from_der(key)?;
            Ok(Material::Rsa { modulus: key.modulus.as_bytes(), exponent: key.public_exponent.as_bytes() })
        }
        EC => {
            let named = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
            let curve = match named {
                Some(P256) => Curve::P256,
                Some(P384) => Curve::P384,
                Some(P521) => Curve::P521,
                _ => return Err(KeyError::Curve),
            };
            Ok(Material::Ec { curve, point: key })
        }
        ED25519 => match parameters {
            None => Ok(Material::Ed25519 { point: key }),
            Some(_) => Err(KeyError::Parameters("Ed25519")),
        },
        other => Err(KeyError::Algorithm { oid: other.to_string() }),
    }
}

impl From<der::Error> for KeyError {
    fn from(error: der::Error) -> Self {
        Self::Der(error.to_string())
    }
}
