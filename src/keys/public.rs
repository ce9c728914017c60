//! A public key that verifies tokens, whatever it was read from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{KeyId, der, weak_rsa};

/// An elliptic curve of ECDSA, named as in JOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl Curve {
    /// Octets of one coordinate, leading zeros included
    /// ([RFC 7518 §6.2.1.2](https://www.rfc-editor.org/rfc/rfc7518#section-6.2.1.2)).
    pub const fn coordinate_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Whether these bytes, in the uncompressed form of SEC 1, are a point of the curve.
    fn holds(self, point: &[u8]) -> bool {
        match self {
            Self::P256 => p256::PublicKey::from_sec1_bytes(point).is_ok(),
            Self::P384 => p384::PublicKey::from_sec1_bytes(point).is_ok(),
            Self::P521 => p521::PublicKey::from_sec1_bytes(point).is_ok(),
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        })
    }
}

/// The type of a key, and its size where that isn't fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// ECDSA.
    Ec(Curve),
    /// `EdDSA` on edwards25519.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ec(curve) => write!(f, "{curve}"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// Why bytes aren't a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A coordinate or an encoded point of the wrong size.
    #[error("{what} of {kind} is {found} bytes long, not {expected}")]
    Length {
        /// The value: `x`, `y` or `the point`.
        what: &'static str,
        /// The kind of key.
        kind: KeyKind,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// Coordinates that don't satisfy the curve's equation.
    #[error("its point is not on the curve {0}")]
    OffCurve(KeyKind),
    /// A point in a form that Vault doesn't read.
    #[error("its point on {0} is compressed, which Vault doesn't read")]
    Compressed(Curve),
    /// A `SubjectPublicKeyInfo` of another algorithm.
    #[error("its algorithm {oid} isn't one that a jwt mount knows")]
    Algorithm {
        /// The object identifier, dotted.
        oid: String,
    },
    /// An EC key on another curve, or on one described by parameters instead of its name.
    #[error("its curve isn't P-256, P-384 or P-521")]
    Curve,
    /// Wrong `AlgorithmIdentifier` parameters (RSA needs NULL, Ed25519 none; RFC 3279, RFC 8410).
    #[error("the parameters of its algorithm aren't those of {0}")]
    Parameters(&'static str),
    /// Not DER, or not the structure it should be.
    #[error("it isn't valid DER: {0}")]
    Der(String),
}

/// Why a well-formed key must not be trusted to verify tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Weakness {
    /// Under 2048 bits: [RFC 7518 §3.3](https://www.rfc-editor.org/rfc/rfc7518#section-3.3).
    #[error("its RSA modulus has {bits} bits, and fewer than 2048 can be factored")]
    SmallModulus {
        /// Length of the modulus.
        bits: usize,
    },
    /// An even modulus has the factor 2.
    #[error("its RSA modulus is even, so it is not the product of two large primes")]
    EvenModulus,
    /// Longer than any key that is used.
    #[error("its RSA modulus has {bits} bits, which is absurd: nobody makes keys of more than 16384")]
    AbsurdModulus {
        /// Length of the modulus.
        bits: usize,
    },
    /// Divisible by a small prime.
    #[error("its RSA modulus is divisible by {factor}, so it is not the product of two large primes")]
    SmallFactor {
        /// The prime.
        factor: u64,
    },
    /// A prime itself: its private key is known to everybody.
    #[error("its RSA modulus is a prime, so that everybody can sign with it")]
    PrimeModulus,
    /// The square of a prime: its root is its factor.
    #[error("its RSA modulus is a square, so that everybody can sign with it")]
    SquareModulus,
    /// Fermat's method finds its factors in a few steps (CVE-2022-26320).
    #[error("the two primes of its RSA modulus are next to each other, so that everybody can find them")]
    ClosePrimes,
    /// Made by a chip of Infineon (CVE-2017-15361).
    #[error("its RSA modulus has the fingerprint of ROCA (CVE-2017-15361): it can be factored")]
    Roca,
    /// An even exponent has no inverse; Go refuses it too (`crypto/rsa`: `public exponent is even`).
    #[error("its RSA exponent is even, so it can't verify anything")]
    EvenExponent,
    /// FIPS 186-5 §5.4 requires 2^16 < e: signatures with e = 3 were forged more than once where
    /// a verifier was lax about padding, and e = 1 makes every message its own signature.
    #[error("its RSA exponent is {0}, and at least 65537 is required")]
    TinyExponent(u64),
    /// Go holds the exponent in 31 bits (`crypto/rsa`: `public exponent too large`), so Vault
    /// would accept the PEM and verify nothing with it.
    #[error("its RSA exponent has more than 31 bits, which Vault can't use")]
    HugeExponent,
    /// One of the eight points for which a signature fits any message, or another spelling of a
    /// point that has a canonical one ([RFC 8032 §5.1.3](https://www.rfc-editor.org/rfc/rfc8032#section-5.1.3)).
    #[error("its Ed25519 point is degenerate: signatures under it prove nothing")]
    DegeneratePoint,
}

/// A public key for verifying tokens: RSA, P-256, P-384, P-521 or Ed25519.
///
/// Equality and order are those of its DER `SubjectPublicKeyInfo`, so one key is equal to itself
/// however it was written down.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: KeyKind,
    weakness: Option<Weakness>,
}

impl PublicKey {
    /// An RSA key from its big-endian modulus and exponent; leading zeros don't count.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        Ok(Self {
            spki: der::rsa(modulus, exponent)?,
            kind: KeyKind::Rsa { bits: bit_length(modulus) },
            weakness: rsa_weakness(modulus, exponent),
        })
    }

    /// An ECDSA key from a point in SEC 1's uncompressed form: `04`, x, y.
    pub(super) fn ec(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        let kind = KeyKind::Ec(curve);
        if matches!(point.first(), Some(2 | 3)) {
            return Err(KeyError::Compressed(curve));
        }
        let expected = 1 + 2 * curve.coordinate_length();
        if point.len() != expected {
            return Err(KeyError::Length { what: "the point", kind, expected, found: point.len() });
        }
        if point.first() != Some(&4) || !curve.holds(point) {
            return Err(KeyError::OffCurve(kind));
        }
        Ok(Self { spki: der::ec(curve, point)?, kind, weakness: None })
    }

    /// An Ed25519 key from its 32 bytes.
    pub(super) fn ed25519(point: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; 32] = point.try_into().map_err(|_| KeyError::Length {
            what: "the point",
            kind: KeyKind::Ed25519,
            expected: 32,
            found: point.len(),
        })?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::OffCurve(KeyKind::Ed25519))?;
        let canonical = key.to_edwards().compress().to_bytes() == *bytes;
        Ok(Self {
            spki: der::ed25519(bytes)?,
            kind: KeyKind::Ed25519,
            weakness: (key.is_weak() || !canonical).then_some(Weakness::DegeneratePoint),
        })
    }

    /// Reads a DER `SubjectPublicKeyInfo` ([RFC 5280 §4.1.2.7](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7)).
    ///
    /// # Errors
    /// When it isn't one, or not of a kind that a jwt mount takes. A weak key is read all the same,
    /// because a mount may hold one: see [`PublicKey::weakness`].
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyError> {
        match der::decode(spki)? {
            der::Material::Rsa { modulus, exponent } => Self::rsa(modulus, exponent),
            der::Material::Ec { curve, point } => Self::ec(curve, point),
            der::Material::Ed25519 { point } => Self::ed25519(point),
        }
    }

    /// The DER `SubjectPublicKeyInfo`: what stands between the lines of the PEM.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Its type and size.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Why this key must not verify tokens, if there is a reason.
    pub fn weakness(&self) -> Option<Weakness> {
        self.weakness
    }

    /// Whether it is an RSA key whose modulus is a prime. Unlike [`PublicKey::weakness`], this costs as much as some signatures.
    pub(super) fn has_prime_modulus(&self) -> bool {
        match der::decode(&self.spki) {
            Ok(der::Material::Rsa { modulus, .. }) => weak_rsa::is_prime(modulus),
            _ => false,
        }
    }

    /// SHA-256 over the DER `SubjectPublicKeyInfo`.
    pub fn id(&self) -> KeyId {
        KeyId::of(self)
    }

    /// Its [`id`](PublicKey::id) as `sha256:` and 64 hexadecimal digits.
    ///
    /// The same as `openssl pkey -pubin -outform DER | sha256sum`.
    pub fn fingerprint(&self) -> String {
        self.id().fingerprint()
    }

    /// The `kid` that Kubernetes gives a key of its own. For naming a key that its cluster no longer publishes.
    pub fn kubernetes_kid(&self) -> String {
        self.id().base64()
    }

    /// The first 16 digits of [`PublicKey::fingerprint`]: enough to tell keys apart on a screen.
    pub fn short_fingerprint(&self) -> String {
        self.id().short()
    }
}

/// The kind, such as `RSA 2048` or `P-256`.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.kind, self.short_fingerprint())
    }
}

fn rsa_weakness(modulus: &[u8], exponent: &[u8]) -> Option<Weakness> {
    let bits = bit_length(modulus);
    if bits < 2048 {
        return Some(Weakness::SmallModulus { bits });
    }
    if modulus.last().is_none_or(|byte| byte % 2 == 0) {
        return Some(Weakness::EvenModulus);
    }
    if exponent.last().is_none_or(|byte| byte % 2 == 0) {
        return Some(Weakness::EvenExponent);
    }
    if bit_length(exponent) > 31 {
        return Some(Weakness::HugeExponent);
    }
    let value = exponent.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    if value < 65537 {
        return Some(Weakness::TinyExponent(value));
    }
    weak_rsa::weakness(modulus, bits)
}

/// Bits of a big-endian number without its leading zeros.
fn bit_length(number: &[u8]) -> usize {
    number.iter().position(|byte| *byte != 0).map_or(0, |first| {
        let zeros = number[first].leading_zeros() as usize;
        (number.len() - first) * 8 - zeros
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus() -> Vec<u8> {
        let mut modulus = vec![0xa5; 256];
        modulus[254..].copy_from_slice(&[0x0, 0x13]);
        modulus
    }

    fn weakness(modulus: &[u8], exponent: &[u8]) -> Option<Weakness> {
        PublicKey::rsa(modulus, exponent).unwrap().weakness()
    }

    #[test]
    fn rsa_is_judged_by_modulus_and_exponent() {
        let good = modulus();
        assert_eq!(weakness(&good, &[1, 0, 1]), None);
        assert_eq!(weakness(&good, &[0, 0, 0, 0, 1, 0, 1]), None);
        assert_eq!(weakness(&good, &[0x7f, 0xff, 0xff, 0xff]), None);
        for tiny in [1, 3, 5, 17] {
            let found = weakness(&good, &[tiny]);
            assert_eq!(found, Some(Weakness::TinyExponent(tiny.into())));
        }
        assert_eq!(weakness(&good, &[0xff, 0xff]), Some(Weakness::TinyExponent(65535)));
        for even in [&[0][..], &[2], &[1, 0, 0], &[]] {
            assert_eq!(weakness(&good, even), Some(Weakness::EvenExponent));
        }
        assert_eq!(weakness(&good, &[0x80, 0, 0, 1]), Some(Weakness::HugeExponent));

        let mut even = modulus();
        even[255] = 2;
        assert_eq!(weakness(&even, &[1, 0, 1]), Some(Weakness::EvenModulus));
        let mut short = modulus();
        short[0] = 0x7f;
        let expected = Some(Weakness::SmallModulus { bits: 2047 });
        assert_eq!(weakness(&short, &[1, 0, 1]), expected);
        let padded = [&[0, 0][..], &short].concat();
        assert_eq!(weakness(&padded, &[1, 0, 1]), expected);
        let none = Some(Weakness::SmallModulus { bits: 0 });
        assert_eq!(weakness(&[], &[1, 0, 1]), none);
        let zero = PublicKey::rsa(&modulus(), &[]).unwrap();
        assert_eq!(PublicKey::from_spki_der(zero.spki_der()), Ok(zero));
    }

    #[test]
    fn leading_zeros_make_no_other_key() {
        let padded = [&[0][..], &modulus()].concat();
        let key = PublicKey::rsa(&modulus(), &[1, 0, 1]).unwrap();
        assert_eq!(PublicKey::rsa(&padded, &[0, 1, 0, 1]).unwrap(), key);
        assert_eq!(key.to_string(), "RSA 2048");
        assert_eq!(key.short_fingerprint().len(), 23);
        assert!(key.fingerprint().starts_with(&key.short_fingerprint()));
    }

    #[test]
    fn small_order_points_of_ed25519_are_degenerate() {
        // The identity, the point of order two, and the identity spelled y = p + 1.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut order_two = [0xff; 32];
        order_two[0] = 0xec;
        order_two[31] = 0x7f;
        let mut spelled = [0xff; 32];
        spelled[0] = 0xee;
        spelled[31] = 0x7f;
        for point in [identity, order_two, spelled] {
            let key = PublicKey::ed25519(&point).unwrap();
            assert_eq!(key.weakness(), Some(Weakness::DegeneratePoint));
        }
    }

    #[test]
    fn points_are_checked() {
        let off = PublicKey::ec(Curve::P256, &[4; 65]);
        assert_eq!(off, Err(KeyError::OffCurve(KeyKind::Ec(Curve::P256))));
        let hybrid = [&[6][..], &[4; 64]].concat();
        assert!(PublicKey::ec(Curve::P256, &hybrid).is_err());
        let infinity = PublicKey::ec(Curve::P256, &[0]);
        assert!(matches!(infinity, Err(KeyError::Length { .. })));
        let compressed = PublicKey::ec(Curve::P384, &[2; 49]);
        assert_eq!(compressed, Err(KeyError::Compressed(Curve::P384)));
        assert!(matches!(PublicKey::ed25519(&[9; 31]), Err(KeyError::Length { .. })));
        // y = 2 is the y of no point.
        let mut two = [0; 32];
        two[0] = 2;
        let off = PublicKey::ed25519(&two);
        assert_eq!(off, Err(KeyError::OffCurve(KeyKind::Ed25519)));
    }
}
