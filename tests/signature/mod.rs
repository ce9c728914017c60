//! Tokens that no API server would give, signed as one would sign them.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lab::ServiceAccountKey;
use serde_json::Value;

/// A token with the header and the claims of another (RS256), but for its times: when it begins and ends, in seconds from
/// now.
pub fn signed_anew(token: &str, key: &ServiceAccountKey, begins: i64, ends: i64) -> String {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    for (claim, seconds) in [("iat", begins), ("nbf", begins), ("exp", ends)] {
        claims[claim] = (now + seconds).into();
    }
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature(&signed, key)))
}

fn signature(text: &str, key: &ServiceAccountKey) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pem"), key.private_pem()).unwrap();
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-sign", "key.pem"]).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl could not sign");
    output.stdout
}
