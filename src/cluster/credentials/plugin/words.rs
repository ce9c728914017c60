//! What a credential plugin says of its failure, without the secrets that it may quote.

use kube::config::ExecConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much of what it says is kept: its end, where the reason stands.
const KEPT: usize = 8 << 10;

/// How much of it is shown.
const SHOWN: usize = 600;

/// The shortest text that is taken for a secret where it may be one: what is shorter stands in many words.
const SHORTEST: usize = 6;

/// The end of what it says, however much that is.
pub(super) async fn last(mut said: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut part) = (Vec::new(), [0; 4096]);
    // What can't be read is not said.
    while let Ok(length @ 1..) = said.read(&mut part).await {
        kept.extend_from_slice(&part[..length]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
    kept
}

/// What it said, on one line, without what the kubeconfig gave it and what looks like a token.
pub(super) fn own(exec: &ExecConfig, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut text = lines.join("; ");
    let mut hidden = given(exec);
    // A longer one may have a shorter one in it.
    hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in hidden.into_iter().filter(|secret| secret.len() >= SHORTEST) {
        text = text.replace(&secret, "[…]");
    }
    let text = without_tokens(&text);
    let surplus = text.chars().count().saturating_sub(SHOWN);
    let end: String = text.chars().skip(surplus).collect();
    if surplus > 0 { format!("…{end}") } else { end }
}

/// The kubeconfig's hint, on one line.
pub(super) fn of_hint(hint: &str) -> String {
    hint.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
        .chars()
        .take(SHOWN)
        .collect()
}

/// What the kubeconfig gives it that may be a secret: the values of variables, words, and what follows a flag whose name says so.
fn given(exec: &ExecConfig) -> Vec<String> {
    let mut given: Vec<String> =
        exec.env.iter().flatten().filter_map(|variable| variable.get("value").cloned()).collect();
    let mut after: Option<&str> = None;
    for word in exec.args.iter().flatten() {
        match word.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => {
                given.extend(is_of_a_secret(flag).then(|| value.to_owned()));
                after = None;
            }
            _ if word.starts_with('-') => after = Some(word),
            _ => {
                given.extend(after.take().is_none_or(is_of_a_secret).then(|| word.clone()));
            }
        }
    }
    given
}

/// Whether the value of a flag may be a secret. One letter says nothing.
fn is_of_a_secret(flag: &str) -> bool {
    let flag = flag.to_lowercase();
    !flag.starts_with("--") || ["pass", "secret", "token", "key", "cred", "auth"].iter().any(|part| flag.contains(part))
}

/// A text without what looks like a JSON Web Token, or one of Vault.
fn without_tokens(text: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_token = |word: &str| {
        (word.starts_with("eyJ") && word.contains('.'))
            || ["hvs.", "hvb."].iter().any(|prefix| word.starts_with(prefix))
    };
    text.split_inclusive(|c| !inside(c))
        .map(|word| match word.trim_end_matches(|c| !inside(c)) {
            token if is_token(token) => word.replace(token, "[token]"),
            _ => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_told_without_what_it_was_given() {
        let exec = ExecConfig {
            args: Some(
                ["get-token", "--region", "eu-north-1", "--password", "hunter22", "--api-key=abcdefg", "-p", "letter"]
                    .map(str::to_owned)
                    .into(),
            ),
            env: Some(vec![
                [("name", "PASS"), ("value", "variable")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ]),
            ..ExecConfig::default()
        };
        let said = b"no region eu-north-1\n\n  for hunter22, abcdefg, letter, variable; eyJhbGciOi.eyJ.sig hvs.CAES \n";
        assert_eq!(own(&exec, said), "no region eu-north-1; for […], […], […], […]; [token] [token]");
        assert_eq!(own(&exec, "é".repeat(700).as_bytes()).chars().count(), SHOWN + 1);
    }

    #[tokio::test]
    async fn of_much_the_end_is_kept() {
        let said = [vec![b'a'; 3 * KEPT], b"reason".to_vec()].concat();
        let kept = last(&*said).await;
        assert!(kept.len() == KEPT && kept.ends_with(b"reason"));
    }
}
