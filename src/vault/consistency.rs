//! Reading one's own writes, whichever node answers.
//!
//! A standby of OpenBao, and a performance standby of Vault Enterprise, answers reads from its own copy, which is a little
//! behind the active node's: a mount that was enabled a moment ago isn't there yet, and a role is what it was before. Both
//! servers say in `X-Vault-Index` how far the storage was when they answered. Sent back, it asks for an answer that is
//! at least as new, and `X-Vault-Inconsistent: forward-active-node` says what a node that isn't there yet shall do: pass
//! the request on to the active node. Servers that know neither header ignore them.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;

const INDEX: &str = "x-vault-index";
const INCONSISTENT: &str = "x-vault-inconsistent";

/// The longest index that is sent back; the servers' own have about a hundred bytes.
const LONGEST: usize = 1024;

/// The newest index that a Vault gave to this run.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Option<Index>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Index {
    /// As it came, because it is the server's own.
    value: HeaderValue,
    /// What it says, where it can be read: answers arrive in another order than they were given.
    position: Option<Position>,
}

/// How far the storage of a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    cluster: String,
    /// Each only grows: of OpenBao one number, of Vault Enterprise the local and the replicated one.
    counts: Vec<u64>,
}

impl Newest {
    /// Whether any answer had one.
    pub(super) fn is_known(&self) -> bool {
        self.with(|newest| newest.is_some())
    }

    /// Remembers the index of an answer, unless a newer one is known. What isn't fit to be sent back is left alone.
    pub(super) fn learn(&self, answer: &HeaderMap) {
        let Some(index) = answer.get(INDEX).and_then(Index::read) else { return };
        self.with(|newest| {
            if newest.as_ref().is_none_or(|known| !known.is_newer_than(&index)) {
                *newest = Some(index);
            }
        });
    }

    /// Asks for an answer that is at least as new as every answer before.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.with(|newest| newest.as_ref().map(|index| index.value.clone())) {
            headers.insert(INDEX, value);
            // Alone, neither of them helps: without it a node that is behind refuses, without the index it is never behind.
            headers.insert(INCONSISTENT, HeaderValue::from_static("forward-active-node"));
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Index>) -> T) -> T {
        // What is there is whole: it is replaced in one go.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Index {
    fn read(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok().filter(|text| (1..=LONGEST).contains(&text.len()))?;
        Some(Self { value: value.clone(), position: Position::read(text) })
    }

    /// Whether both are of one cluster and this is the newer one. Where that can't be told, the one that came last is
    /// taken for it.
    fn is_newer_than(&self, other: &Self) -> bool {
        let (Some(this), Some(other)) = (&self.position, &other.position) else { return false };
        let grown = |from: &Position, to: &Position| from.counts.iter().zip(&to.counts).all(|(from, to)| from <= to);
        this.cluster == other.cluster
            && this.counts.len() == other.counts.len()
            && this.counts != other.counts
            && grown(other, this)
    }
}

impl Position {
    /// Reads `{"cluster":"…","value":"31"}` (OpenBao) and `v1:CLUSTER:LOCAL:REPLICATED:HMAC` (Vault Enterprise), in base64.
    fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct OpenBao {
            cluster: String,
            value: String,
        }
        let bytes = STANDARD.decode(text).ok()?;
        if let Ok(OpenBao { cluster, value }) = serde_json::from_slice(&bytes) {
            return Some(Self { cluster, counts: vec![value.parse().ok()?] });
        }
        let text = String::from_utf8(bytes).ok()?;
        match text.split(':').collect::<Vec<_>>()[..] {
            ["v1", cluster, local, replicated, _] => {
                Some(Self { cluster: cluster.to_owned(), counts: vec![local.parse().ok()?, replicated.parse().ok()?] })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openbao(cluster: &str, value: &str) -> String {
        STANDARD.encode(format!(r#"{{"cluster":"{cluster}","value":"{value}"}}"#))
    }

    fn enterprise(local: u64, replicated: u64) -> String {
        STANDARD.encode(format!("v1:a0b7:{local}:{replicated}:00ff"))
    }

    /// What is sent after answers with these indexes, in this order.
    fn sent_after(answers: &[&str]) -> Option<String> {
        let newest = Newest::default();
        for answer in answers {
            newest.learn(
                &[(http::HeaderName::from_static(INDEX), HeaderValue::from_str(answer).unwrap())].into_iter().collect(),
            );
        }
        let mut headers = HeaderMap::new();
        newest.ask(&mut headers);
        assert_eq!(
            headers.contains_key(INDEX),
            headers.contains_key(INCONSISTENT),
            "one is of no use without the other"
        );
        assert_eq!(newest.is_known(), !headers.is_empty());
        headers.get(INDEX).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_newest_of_a_cluster_is_kept_in_whatever_order_answers_come() {
        let [nine, ten] = ["9", "10"].map(|value| openbao("a", value));
        assert_eq!(sent_after(&[&nine, &ten]), Some(ten.clone()));
        assert_eq!(sent_after(&[&ten, &nine]), Some(ten.clone()), "numbers, not texts");
        let [old, new] = [enterprise(9, 10), enterprise(10, 10)];
        assert_eq!(sent_after(&[&new, &old]), Some(new.clone()));
        assert_eq!(sent_after(&[&old, &new]), Some(new));
    }

    #[test]
    fn the_last_is_kept_where_they_can_not_be_compared() {
        let (here, there) = (openbao("a", "10"), openbao("b", "9"));
        assert_eq!(sent_after(&[&here, &there]), Some(there), "another cluster answers now");
        let (one, other) = (enterprise(9, 10), enterprise(10, 9));
        assert_eq!(sent_after(&[&one, &other]), Some(other), "neither is newer");
        let opaque = openbao("a", "0/16B3748");
        for opaque in [opaque.as_str(), "of-another-form", &enterprise(1, 1)] {
            assert_eq!(sent_after(&[&here, opaque]).as_deref(), Some(opaque));
            assert_eq!(sent_after(&[opaque, &here]), Some(here.clone()));
        }
    }

    #[test]
    fn what_is_no_index_is_not_sent_back() {
        let long = "x".repeat(LONGEST + 1);
        for unfit in ["", "caf\u{e9}", &long] {
            assert_eq!(sent_after(&[unfit]), None, "{unfit}");
            let index = openbao("a", "9");
            assert_eq!(sent_after(&[&index, unfit]), Some(index));
        }
        assert_eq!(sent_after(&[]), None);
    }

    #[test]
    fn many_at_once_leave_the_newest() {
        let newest = Newest::default();
        std::thread::scope(|scope| {
            for start in 0..8 {
                let newest = &newest;
                scope.spawn(move || {
                    for value in (start..400).step_by(8) {
                        let value = HeaderValue::from_str(&openbao("a", &value.to_string())).unwrap();
                        newest.learn(&[(http::HeaderName::from_static(INDEX), value)].into_iter().collect());
                    }
                });
            }
        });
        let mut headers = HeaderMap::new();
        newest.ask(&mut headers);
        assert_eq!(headers[INDEX], openbao("a", "399"));
    }
}
