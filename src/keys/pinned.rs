//! A key as an element of `jwt_validation_pubkeys`: its PEM block, below a comment that Vault keeps and skips.
//!
//! ```text
//! # kid=Zk3…
//! -----BEGIN PUBLIC KEY-----
//! ```
//!
//! The comment helps a person to tell which key it is, and has no say: whoever may write the mount's configuration can write
//! any. Which keys the cluster was seen to publish is recorded elsewhere ([`KeyRecords`](super::KeyRecords)).

use jiff::Timestamp;

use super::PublicKey;

/// The element for a key, with the `kid` that its cluster gives it, else the one that Kubernetes would.
pub fn pinned(key: &PublicKey, kid: Option<&str>) -> String {
    // What a cluster calls its key must not end the comment.
    let safe = |kid: &&str| !kid.is_empty() && kid.chars().all(|c| c.is_ascii_graphic());
    let kid = kid.filter(safe).map_or_else(|| key.kubernetes_kid(), str::to_owned);
    format!("# kid={kid}\n{}", key.to_pem())
}

/// Since when an element's key is gone, as an earlier version noted it in the comment. A note and no proof: it only says from when
/// to count, once, where an operator vouches for the key itself.
pub fn noted_gone_since(element: &str) -> Option<Timestamp> {
    let (above, _) = element.split_once("-----BEGIN")?;
    let comments = above.lines().filter(|line| line.starts_with('#'));
    comments.flat_map(str::split_whitespace).find_map(|word| word.strip_prefix("gone-since="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../../testdata/jwks/p256.pem");

    #[test]
    fn the_comment_is_no_part_of_the_key() {
        let key = PublicKey::parse_pem(PEM).unwrap();
        let element = pinned(&key, Some("a_b-1"));
        assert!(element.starts_with("# kid=a_b-1\n-----BEGIN PUBLIC KEY-----\n"));
        assert_eq!(PublicKey::parse_pem(&element), Ok(key));
    }

    #[test]
    fn the_note_of_an_earlier_version_is_read() {
        let noted = |comment: &str| noted_gone_since(&format!("{comment}\n{PEM}"));
        let since = "2026-11-23T12:00:00Z".parse().ok();
        assert_eq!(noted("# kid=a_b-1 gone-since=2026-11-23T12:00:00Z"), since);
        for text in ["", "kid=x gone-since=2026-11-23T12:00:00Z", "# kid=x", "# kid= gone-since=soon"] {
            assert_eq!(noted(text), None, "{text}");
        }
    }

    #[test]
    fn a_kid_can_not_end_the_comment() {
        let key = PublicKey::parse_pem(PEM).unwrap();
        for kid in ["", "x\n-----BEGIN PUBLIC KEY-----", "a b"] {
            assert_eq!(pinned(&key, Some(kid)), pinned(&key, None), "{kid}");
        }
    }
}
