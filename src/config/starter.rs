//! A first configuration file, to be edited.

use crate::document::yaml_text;
use crate::names::ClusterName;
use crate::text::printable;

/// Where Vault should take a cluster's keys from, as far as that can be told from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFor {
    /// From the issuer itself, which everybody reaches.
    PublicIssuer {
        /// The issuer.
        issuer: String,
    },
    /// From the mount, into which they are pinned.
    Pinned {
        /// Why from nowhere else, in words that end a sentence.
        why: String,
    },
}

/// A commented file for one cluster, with a role for External Secrets, in YAML that needs none of our own leniency.
pub fn starter(cluster: &ClusterName, context: &str, keys: &KeysFor) -> String {
    let (word, comment) = match keys {
        KeysFor::PublicIssuer { issuer } => (
            "oidcDiscovery",
            format!(
                "Vault fetches the keys from the issuer of the cluster's tokens, {issuer}: it is public, with a certificate that every \
                 system trusts, and serves the keys that the cluster signs with. A cluster that rotates them needs nothing."
            ),
        ),
        KeysFor::Pinned { why } => (
            "pinned",
            format!(
                "Vault checks the signatures of tokens itself, with the cluster's keys pinned into the mount: it never calls the cluster, \
                 and a cluster that rotates its keys needs another bootstrap. Why pinned: {why}."
            ),
        ),
    };
    TEMPLATE
        .replace("[CLUSTER]", &yaml_text(cluster.as_str()))
        .replace("[CONTEXT]", &yaml_text(context))
        .replace("[KEYS]", word)
        .replace("[WHY]", &as_comment(&comment))
}

/// Text as lines of a comment that stands where `[WHY]` does.
fn as_comment(text: &str) -> String {
    const WIDTH: usize = 110;
    let mut lines: Vec<String> = Vec::new();
    // Issuers come from elsewhere, and a comment ends with its line.
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    for word in words.map(printable) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n      ")
}

const TEMPLATE: &str = r#"# What Vault must hold so that service accounts of this cluster can log in.
#
#   vaultk8s rehearse     tries it without Vault and cluster: who can read what, and that nobody else can
#   vaultk8s plan         shows what would change in Vault, and changes nothing
#   vaultk8s bootstrap    changes it, and proves it with real logins
#   vaultk8s schema       describes every field that this file may have

# Whose file this is, where several files are applied to one Vault: a name that no other of them has.
# owner: platform

# Where Vault is. Without this, VAULT_ADDR (or BAO_ADDR) decides; with it, this file is for one Vault only.
# vault:
#   address: https://vault.example.internal:8200
#   caCert: vault-ca.pem

# The KV mount that the paths of the policies are below; whether it is version 1 or 2 is asked of Vault.
kv: secret

clusters:
  # `{cluster}` stands for this name everywhere in this file.
  - name: [CLUSTER]
    # A context of the kubeconfig.
    context: [CONTEXT]
    auth:
      [WHY]
      method: jwt
      keys: [KEYS]
      mount: "jwt-{cluster}"
      description: "JWT auth for the service accounts of {cluster}"
      # Tokens must be made for this audience, so that one that is meant for others is of no use here. External Secrets
      # asks for `vault` unless its store says otherwise.
      audience: vault

# One permission each. `data/` and `metadata/` are added where the KV mount is version 2.
policies:
  - name: "p-k8s_{cluster}_eso-read"
    read:
      - "k8s/{cluster}/*"
    list:
      - "k8s/{cluster}/*"

# Who may log in, and what that gives. More roles with the same shape need only `each`:
#   - name: "r-{each}"
#     each:
#       - api
#       - worker
roles:
  - name: "r-eso-jwt-{cluster}-read"
    serviceAccounts:
      - external-secrets/external-secrets
    policies:
      - "p-k8s_{cluster}_eso-read"
    ttl: 1h

# What must stay true, whoever changes this file: `vaultk8s rehearse` fails where it doesn't hold.
expect:
  - nobodyBut:
      - external-secrets/external-secrets
    can:
      - read
      - list
    paths:
      - "k8s/{cluster}/*"
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{ClusterSource, Config, KeySource, Method};

    #[test]
    fn it_is_a_configuration_whatever_the_context_is_called() {
        for context in [
            "admin@taloslmn",
            "arn:aws:eks:eu-1:1:cluster/prod",
            "a \"b\" # c",
            "- x",
            "true",
            "7",
            "a\u{202e}b\u{200b}c",
        ] {
            let why = "its issuer, https://k\u{2028}x: y\n#z, is\u{202e} the API server itself".to_owned();
            let text = starter(&"prod".parse().unwrap(), context, &KeysFor::Pinned { why });
            let config = Config::parse(&text, Path::new("vaultk8s.yaml")).unwrap();
            assert_eq!(config.clusters[0].source, ClusterSource::Context(Some(context.to_owned())));
            assert!(config.warnings.is_empty(), "{:?}", config.warnings);
            assert_eq!(config.expectations.len(), 2);
        }
    }

    #[test]
    fn a_public_issuer_is_where_vault_takes_the_keys_from() {
        let issuer = "https://oidc.example.com/id/0".to_owned();
        let text = starter(&"prod".parse().unwrap(), "c", &KeysFor::PublicIssuer { issuer });
        let config = Config::parse(&text, Path::new("vaultk8s.yaml")).unwrap();
        assert!(matches!(config.clusters[0].auth.method, Method::Jwt(KeySource::OidcDiscovery)));
        assert!(config.warnings.is_empty() && text.contains("https://oidc.example.com/id/0"));
    }
}
