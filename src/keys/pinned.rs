//! A key as an element of `jwt_validation_pubkeys`: its PEM block, below a comment that Vault keeps and skips.
//!
//! ```text
//! # kid=Zk3… gone-since=2026-11-23T12:00:00Z
//! -----BEGIN PUBLIC KEY-----
//! ```
//!
//! The `kid` tells a person which key it is, and this tool that the key was the cluster's when it was pinned; `gone-since` is
//! there once the cluster no longer publishes it. Any other text above the block is somebody else's and means nothing.

use jiff::Timestamp;

use super::PublicKey;

/// The element for a key, with the `kid` that its cluster gives it, else the one that Kubernetes would.
pub fn pinned(key: &PublicKey, kid: Option<&str>, gone_since: Option<Timestamp>) -> String {
    // What a cluster calls its key must not end the comment.
    let safe = |kid: &&str| !kid.is_empty() && kid.chars().all(|c| c.is_ascii_graphic());
    let kid = kid.filter(safe).map_or_else(|| key.kubernetes_kid(), str::to_owned);
    let gone = gone_since.map(|since| format!(" gone-since={since}")).unwrap_or_default();
    format!("# kid={kid}{gone}\n{}", key.to_pem())
}

/// The `kid` that an element notes.
pub fn noted_kid(element: &str) -> Option<&str> {
    note(element, "kid=").filter(|kid| !kid.is_empty())
}

/// Since when an element's key is gone, as it notes.
pub fn gone_since(element: &str) -> Option<Timestamp> {
    note(element, "gone-since=")?.parse().ok()
}

fn note<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (above, _) = element.split_once("-----BEGIN")?;
    let comments = above.lines().filter(|line| line.starts_with('#'));
    comments.flat_map(str::split_whitespace).find_map(|word| word.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../../testdata/jwks/p256.pem");

    #[test]
    fn what_is_written_is_read() {
        let key = PublicKey::parse_pem(PEM).unwrap();
        let since: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let element = pinned(&key, Some("a_b-1"), Some(since));
        assert!(element.starts_with("# kid=a_b-1 gone-since=2026-11-23T12:00:00Z\n-----BEGIN PUBLIC KEY-----\n"));
        assert_eq!((noted_kid(&element), gone_since(&element)), (Some("a_b-1"), Some(since)));
        assert_eq!(PublicKey::parse_pem(&element), Ok(key));
        for text in [PEM.to_owned(), format!("kid=x\n{PEM}"), format!("# kid= gone-since=soon\n{PEM}")] {
            assert_eq!((noted_kid(&text), gone_since(&text)), (None, None), "{text}");
        }
    }

    #[test]
    fn a_kid_can_not_end_the_comment() {
        let key = PublicKey::parse_pem(PEM).unwrap();
        for kid in ["", "x\n-----BEGIN PUBLIC KEY-----", "a b"] {
            assert_eq!(pinned(&key, Some(kid), None), pinned(&key, None, None), "{kid}");
        }
    }
}
