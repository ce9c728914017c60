//! What the operator's token lacks of all that a file needs, told at once: a server refuses one request after the other.

use super::Session;
use crate::error::Error;
use crate::fix::vaultk8s_with;
use crate::render::{OperatorRule, Purpose, operator_policy};
use crate::vault::{CapabilitiesByPath, tokens};

/// How many paths are asked about in one request: OpenBao refuses more than 1,000.
const AT_ONCE: usize = 900;

/// Of how many rules it is told.
const SHOWN: usize = 12;

impl Session {
    /// A refusal, with every rule that the token lacks of those that the file needs, and with how to have them all written.
    pub(super) async fn with_all_that_is_missing(&self, error: Error) -> Error {
        if !error.is_forbidden_by_vault() || self.scope.single_step {
            return error;
        }
        let Ok(policy) = operator_policy(&self.config, self.scope.prune, &[]) else { return error };
        // A pattern is no path to ask about.
        let is_needed =
            |rule: &OperatorRule| rule.purpose == Purpose::Bootstrap && !rule.path.as_str().contains(['*', '+']);
        let needed: Vec<OperatorRule> = policy.rules.into_iter().filter(is_needed).collect();
        let paths: Vec<String> = needed.iter().map(|rule| rule.path.to_string()).collect();
        let mut has = CapabilitiesByPath::new();
        for part in paths.chunks(AT_ONCE) {
            match self.client.send(&tokens::capabilities_self(part)).await {
                Ok(answer) => has.extend(answer.data),
                // The refusal itself is told.
                Err(_) => return error,
            }
        }
        let missing: Vec<&OperatorRule> = needed.iter().filter(|rule| lacks(&has, rule)).collect();
        if missing.len() < 2 {
            return error;
        }
        let rules: Vec<String> = missing.iter().take(SHOWN).map(|rule| written(rule)).collect();
        let more =
            missing.len().checked_sub(SHOWN + 1).map_or(String::new(), |more| format!("\n… and {} more", more + 1));
        let command = vaultk8s_with("render operator-policy", self.config.files.all(), &[]);
        error
            .remedy(format!(
                "it lacks {} of the {} rules that the file needs:\n{}{more}",
                missing.len(),
                needed.len(),
                rules.join("\n")
            ))
            .remedy(format!("{} writes all of them", command.shown()))
    }
}

/// A rule on one line.
fn written(rule: &OperatorRule) -> String {
    let capabilities: Vec<String> = rule.capabilities.iter().map(|capability| format!("\"{capability}\"")).collect();
    format!("path {:?} {{ capabilities = [{}] }}", rule.path.as_str(), capabilities.join(", "))
}

/// Whether something of a rule isn't allowed.
fn lacks(has: &CapabilitiesByPath, rule: &OperatorRule) -> bool {
    let has = has.get(rule.path.as_str()).map(Vec::as_slice).unwrap_or_default();
    let allowed = |capability: &str| has.iter().any(|has| has == capability || has == "root");
    rule.capabilities.iter().any(|capability| !allowed(capability.as_str()))
}
