//! RSA moduli that are known to be weak, found by tests that cost next to nothing beside a signature.

use std::sync::LazyLock;

use rsa::BoxedUint;

use super::Weakness;

/// The longest modulus that anybody uses; a longer one costs whoever verifies more than it is worth.
const LONGEST: usize = 16384;

/// Factors below this are looked for.
const SMALL: u64 = 2048;

/// How many steps Fermat's method goes. Primes that it finds in more were not made alike by mistake.
const STEPS: usize = 100;

/// The generator that the keys of ROCA ([CVE-2017-15361](https://crocs.fi.muni.cz/public/papers/rsa_ccs17)) come from.
const ROCA_GENERATOR: u64 = 65537;

/// The largest prime whose remainder tells a key of ROCA.
const ROCA_LARGEST: u64 = 167;

/// The odd primes below [`SMALL`], in groups whose products fit into 64 bits.
static GROUPS: LazyLock<Vec<(u64, Vec<u64>)>> = LazyLock::new(|| {
    let is_prime = |n: &u64| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    let mut groups: Vec<(u64, Vec<u64>)> = Vec::new();
    for prime in (3..SMALL).step_by(2).filter(is_prime) {
        match groups.last_mut() {
            Some((product, primes)) if product.checked_mul(prime).is_some() => {
                *product *= prime;
                primes.push(prime);
            }
            _ => groups.push((prime, vec![prime])),
        }
    }
    groups
});

/// For each prime up to [`ROCA_LARGEST`], which remainders the powers of the generator have.
static POWERS: LazyLock<Vec<(u64, Vec<bool>)>> = LazyLock::new(|| {
    let primes = GROUPS.iter().flat_map(|(_, primes)| primes).copied().filter(|prime| *prime <= ROCA_LARGEST);
    let powers = |prime: u64| {
        let mut is_power = vec![false; usize::try_from(prime).unwrap_or_default()];
        let mut power = 1;
        // The powers come round to 1.
        loop {
            if let Some(place) = is_power.get_mut(usize::try_from(power).unwrap_or_default()) {
                *place = true;
            }
            power = power * ROCA_GENERATOR % prime;
            if power == 1 {
                return is_power;
            }
        }
    };
    primes.map(|prime| (prime, powers(prime))).collect()
});

/// What is wrong with a modulus, which is odd and not too short.
pub(super) fn weakness(modulus: &[u8], bits: usize) -> Option<Weakness> {
    if bits > LONGEST {
        return Some(Weakness::AbsurdModulus { bits });
    }
    let limbs = limbs(modulus);
    let mut is_roca = true;
    for (product, primes) in GROUPS.iter() {
        let rest = remainder(&limbs, *product);
        for prime in primes {
            let rest = rest % prime;
            if rest == 0 {
                return Some(Weakness::SmallFactor { factor: *prime });
            }
            is_roca =
                is_roca && POWERS.iter().find(|(own, _)| own == prime).is_none_or(|(_, is_power)| has(is_power, rest));
        }
    }
    if is_roca {
        return Some(Weakness::Roca);
    }
    close_primes(modulus)
}

/// Whether a modulus is a prime itself, so that everybody who sees it can sign. This costs as much as some signatures.
pub(super) fn is_prime(modulus: &[u8]) -> bool {
    number(modulus, 0).is_some_and(|modulus| crypto_primes::is_prime(crypto_primes::Flavor::Any, &modulus))
}

fn has(places: &[bool], at: u64) -> bool {
    usize::try_from(at).ok().and_then(|at| places.get(at)).is_some_and(|place| *place)
}

/// A big-endian number in parts of 64 bits, the most significant first.
fn limbs(number: &[u8]) -> Vec<u64> {
    let limb = |bytes: &[u8]| bytes.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    let mut limbs: Vec<u64> = number.rchunks(8).map(limb).collect();
    limbs.reverse();
    limbs
}

fn remainder(limbs: &[u64], divisor: u64) -> u64 {
    rest(limbs.iter().map(|limb| u128::from(*limb)), u64::BITS, divisor)
}

/// What is left of a number in parts of so many bits, the most significant first.
#[expect(clippy::cast_possible_truncation, reason = "a remainder is smaller than what it is of")]
fn rest(parts: impl Iterator<Item = u128>, bits: u32, divisor: u64) -> u64 {
    parts.fold(0, |rest, part| (rest << bits | part) % u128::from(divisor)) as u64
}

/// A number with room for so many bits more.
fn number(modulus: &[u8], more: u32) -> Option<BoxedUint> {
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let bits = u32::try_from(modulus.len() - first).ok()?.checked_mul(8)?;
    BoxedUint::from_be_slice(&modulus[first..], bits.next_multiple_of(64) + more).ok()
}

/// Fermat's method, which finds primes that are next to each other, and squares, in no time.
fn close_primes(modulus: &[u8]) -> Option<Weakness> {
    // Room for the square of a number that is a little larger than the root.
    let modulus = number(modulus, 64)?;
    let wide = modulus.bits_precision();
    let root = modulus.floor_sqrt_vartime();
    let square = root.wrapping_mul(&root);
    if square == modulus {
        return Some(Weakness::SquareModulus);
    }
    // (a + b)(a - b) = a² - b²: from the root upwards, is a² - n a square?
    let one = BoxedUint::one_with_precision(wide);
    let mut a = root.wrapping_add(&one);
    let mut rest = a.wrapping_mul(&a).wrapping_sub(&modulus);
    for _ in 0..STEPS {
        if may_be_square(&rest) {
            let root = rest.floor_sqrt_vartime();
            if root.wrapping_mul(&root) == rest {
                return Some(Weakness::ClosePrimes);
            }
        }
        rest = rest.wrapping_add(&a).wrapping_add(&a).wrapping_add(&one);
        a = a.wrapping_add(&one);
    }
    None
}

/// Whether a number is a square as far as some remainders tell: one of a thousand others is, too.
fn may_be_square(number: &BoxedUint) -> bool {
    static SQUARES: LazyLock<Vec<(u64, Vec<bool>)>> = LazyLock::new(|| {
        let squares = |of: u64| {
            let mut is_square = vec![false; usize::try_from(of).unwrap_or_default()];
            for root in 0..of {
                if let Some(place) = usize::try_from(root * root % of).ok().and_then(|at| is_square.get_mut(at)) {
                    *place = true;
                }
            }
            is_square
        };
        [64, 63, 65, 11, 17, 19, 23, 31].map(|of| (of, squares(of))).into()
    });
    let Some(((of, first), others)) = SQUARES.split_first() else { return true };
    // A word is as large as an address.
    let words = || number.as_words().iter().map(|word| u128::from(*word));
    if !has(first, rest(words().take(1), usize::BITS, *of)) {
        return false;
    }
    let product: u64 = others.iter().map(|(of, _)| of).product();
    let rest = rest(words().rev(), usize::BITS, product);
    others.iter().all(|(of, is_square)| has(is_square, rest % of))
}

#[cfg(test)]
mod tests {
    use crypto_primes::Flavor;

    use super::*;

    fn bytes(number: &BoxedUint) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn prime(bits: u32) -> BoxedUint {
        crypto_primes::random_prime(&mut rand::rng(), Flavor::Any, bits)
    }

    fn times(one: &BoxedUint, other: &BoxedUint) -> BoxedUint {
        let wide = |number: &BoxedUint| {
            let bits = one.bits_precision() + other.bits_precision();
            BoxedUint::from_be_slice(&bytes(number), bits).unwrap()
        };
        wide(one).wrapping_mul(wide(other))
    }

    fn judged(modulus: &BoxedUint) -> Option<Weakness> {
        weakness(&bytes(modulus), usize::try_from(modulus.bit_width()).unwrap())
    }

    #[test]
    fn a_sound_modulus_is_sound() {
        for _ in 0..4 {
            let modulus = times(&prime(1024), &prime(1024));
            assert_eq!(judged(&modulus), None);
            assert!(!is_prime(&bytes(&modulus)));
        }
    }

    #[test]
    fn each_weakness_is_found() {
        let p = prime(1024);
        let plus = |more: u64, shift: u32| {
            let more = BoxedUint::from_be_slice(&more.to_be_bytes(), p.bits_precision()).unwrap();
            p.wrapping_add(more.shl(shift))
        };
        assert_eq!(judged(&times(&p, &p)), Some(Weakness::SquareModulus));
        let next = (2..).step_by(2).map(|more| plus(more, 0));
        let next = next.into_iter().find(|next| crypto_primes::is_prime(Flavor::Any, next)).unwrap();
        assert_eq!(judged(&times(&p, &next)), Some(Weakness::ClosePrimes));
        // As far apart as printers made them (CVE-2022-26320); whether it is a prime doesn't matter to the method.
        let far = (1..).map(|more| plus(more, 500));
        let far = far.into_iter().find(|far| {
            GROUPS.iter().flat_map(|(_, primes)| primes).all(|prime| remainder(&limbs(&bytes(far)), *prime) != 0)
        });
        assert_eq!(judged(&times(&p, &far.unwrap())), Some(Weakness::ClosePrimes));
        for factor in [3u64, 5, 691, 2039] {
            let modulus = times(&prime(2048), &BoxedUint::from(factor));
            assert_eq!(judged(&modulus), Some(Weakness::SmallFactor { factor }));
        }
        assert!(is_prime(&bytes(&prime(2048))));
        assert_eq!(weakness(&[0xff; 4096], 32768), Some(Weakness::AbsurdModulus { bits: 32768 }));
    }

    /// A modulus is told by its remainder by the product of the first primes: a power of 65537.
    #[test]
    fn the_fingerprint_of_roca_is_known() {
        let primes = POWERS.iter().map(|(prime, _)| *prime);
        let of = |number: u64| BoxedUint::from_be_slice(number.to_be_bytes().as_ref(), 2112).unwrap();
        let product = primes.fold(of(1), |product, prime| product.wrapping_mul(of(prime)));
        let modulus = |times: &BoxedUint, steps: usize| {
            let mut power = of(1);
            for _ in 0..steps {
                power = power.wrapping_mul(of(65537)).rem_vartime(&product.to_nz().unwrap());
            }
            product.wrapping_mul(times).wrapping_add(&power)
        };
        let found = (1..40).map(|steps| {
            let times = of(1).shl(1830).wrapping_add(of(u64::try_from(steps).unwrap() * 2));
            judged(&modulus(&times, steps))
        });
        let found: Vec<_> = found.collect();
        // One or another has a small factor beside.
        assert!(found.iter().filter(|found| **found == Some(Weakness::Roca)).count() > 10, "{found:?}");
        assert!(found.iter().all(|found| matches!(found, Some(Weakness::Roca | Weakness::SmallFactor { .. }))));
    }
}
