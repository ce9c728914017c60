//! What the file allows beyond its policies (`allow`), and nothing that is rehearsed has need of.

use crate::config::{Allowance, Config};
use crate::policy::{Pattern, Policy, Rule, stock_default};

/// A sentence for each entry that no login of a rehearsal needs. `default` is the policy that its server gives every token: what that has
/// beside the usual is what such an entry may be there for.
pub(super) fn notes(config: &Config, default: Option<&str>) -> Vec<String> {
    let stock = stock_default();
    let default = default.and_then(|text| Policy::parse(text).ok()).unwrap_or_default();
    let usual = |rule: &Rule| stock.rules().iter().any(|stock| stock.path == rule.path);
    let beside: Vec<&Rule> = default.rules().iter().filter(|rule| !usual(rule)).collect();
    let needless = config.allow.iter().filter(|entry| !beside.iter().any(|rule| gives(rule, entry)));
    needless
        .map(|Allowance { path, position, .. }| {
            format!(
                "`allow` of {path} ({}): no login of this rehearsal needs it; it is for what an identity or Vault's policy default \
                 gives, which only `vaultk8s verify-role` sees",
                config.files.line_of(*position)
            )
        })
        .collect()
}

/// Whether a rule gives some of what an entry allows.
fn gives(rule: &Rule, entry: &Allowance) -> bool {
    let meets = Pattern::with_templates(&rule.path).meet(&Pattern::with_templates(&entry.path)).is_some();
    meets && rule.capabilities.iter().any(|capability| entry.capabilities.contains(capability))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_entry_that_nothing_needs_is_noted() {
        let file = "clusters: [{ name: c, context: c, auth: { method: jwt, audience: vault } }]
policies: [{ name: p, read: app/* }]
roles: [{ name: r, serviceAccounts: ns/app, policies: p, ttl: 1h }]
allow:
  - { path: secret/data/shared/*, capabilities: [read], why: shared }
  - { path: sys/new/+, capabilities: [read, update], why: new }";
        let config = Config::parse(file, Path::new("test.yaml")).unwrap();
        let usual = r#"path "auth/token/lookup-self" { capabilities = ["read"] }"#;
        let rule = |capability: &str| format!(r#"path "sys/new/*" {{ capabilities = ["{capability}"] }}"#);
        let noted = |default: &str| notes(&config, Some(default));
        for default in [usual.to_owned(), rule("list"), String::new()] {
            let noted = noted(&default);
            assert!(noted.len() == 2 && noted[0].contains("secret/data/shared/* (line 5)"), "{default}: {noted:?}");
        }
        let noted = noted(&rule("update"));
        assert!(noted.len() == 1 && noted[0].contains("shared"), "{noted:?}");
    }
}
