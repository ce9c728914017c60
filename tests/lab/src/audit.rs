//! What a Vault server was asked, by its own word.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Error, Result};

/// One request that a server's audit log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRequest {
    /// `read`, `list`, `create`, `update`, `patch` or `delete`. Vault calls a POST or PUT `update` or `create`.
    pub operation: String,
    /// The path below `/v1/`.
    pub path: String,
}

impl AuditedRequest {
    /// Whether the request was meant to change what Vault holds.
    ///
    /// Logins, questions about capabilities, and the look-up or revocation of tokens are updates by their operation, but
    /// no writes in this sense.
    pub fn is_write(&self) -> bool {
        let reads = matches!(self.operation.as_str(), "read" | "list" | "help" | "scan");
        let login = self.path.starts_with("auth/") && self.path.contains("/login");
        let about_tokens = ["auth/token/revoke", "auth/token/lookup", "sys/capabilities"];
        !(reads || login || about_tokens.iter().any(|start| self.path.starts_with(start)))
    }
}

/// The requests that an audit log holds, oldest first.
pub(crate) fn audited(log: &Path) -> Result<Vec<AuditedRequest>> {
    let text = fs::read_to_string(log)
        .map_err(|error| Error::new(format!("can't read the audit log {}", log.display())).because(error))?;
    let requests = text.lines().filter_map(|line| {
        // The last line may be half written.
        let entry: Value = serde_json::from_str(line).ok()?;
        let field = |name: &str| entry["request"][name].as_str().map(ToOwned::to_owned);
        (entry["type"] == "request").then_some(())?;
        Some(AuditedRequest { operation: field("operation")?, path: field("path")? })
    });
    Ok(requests.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_tells_requests_from_answers() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        let lines = [
            r#"{"type":"request","request":{"operation":"update","path":"sys/policies/acl/p"}}"#,
            r#"{"type":"response","request":{"operation":"update","path":"sys/policies/acl/p"}}"#,
            r#"{"type":"request","request":{"operation":"read","path":"sys/auth"}}"#,
            r#"{"type":"requ"#,
        ];
        fs::write(&log, lines.join("\n")).unwrap();
        let requests = audited(&log).unwrap();
        let seen: Vec<(bool, &str)> = requests.iter().map(|r| (r.is_write(), r.path.as_str())).collect();
        assert_eq!(seen, [(true, "sys/policies/acl/p"), (false, "sys/auth")]);
    }
}
