//! A cluster with the `kubernetes` method → its mount, configuration and roles.

use std::collections::BTreeSet;

use super::tokens::token_fields;
use super::{DesiredMount, DesiredRole, SaidBy};
use crate::config::{self, AliasNameSource, KubernetesAuth, ReviewerToken};
use crate::error::{Error, Result};
use crate::keys::Authorities;
use crate::model::{AuthMethod, ClusterFacts, ConfigDocument, KubernetesConfig, KubernetesRole, RoleDocument};
use crate::names::ClusterName;

/// The API server, as every pod of its cluster finds it.
const FROM_A_POD: &str = "https://kubernetes.default.svc";

/// The mount of one cluster.
///
/// # Errors
/// When neither the file nor the kubeconfig says where the API server is, or which CA it has, or when that is not https.
pub(super) fn mount(cluster: &config::Cluster, auth: &KubernetesAuth, facts: &ClusterFacts) -> Result<DesiredMount> {
    Ok(DesiredMount {
        cluster: cluster.name.clone(),
        path: cluster.auth.mount.clone(),
        method: AuthMethod::Kubernetes,
        managed: cluster.auth.managed,
        description: cluster.auth.description.clone(),
        tune: super::tune(&cluster.auth.tune),
        exclusive: cluster.auth.exclusive,
        config: Some(ConfigDocument::Kubernetes(config(cluster, auth, facts)?.normalised())),
        provider: SaidBy::File,
        keeps_unsaid: !cluster.auth.whole,
        extensions: SaidBy::Mount,
        keys: Vec::new(),
        key_retention: 0,
        reviewer: Some(auth.reviewer.clone()).filter(|_| cluster.auth.managed),
        roles: cluster.roles.iter().map(desired_role).collect(),
    })
}

/// A role, whole.
pub(super) fn desired_role(role: &config::Role) -> DesiredRole {
    DesiredRole { name: role.name.clone(), document: RoleDocument::Kubernetes(self::role(role)).normalised() }
}

fn config(cluster: &config::Cluster, auth: &KubernetesAuth, facts: &ClusterFacts) -> Result<KubernetesConfig> {
    let name = &cluster.name;
    let local = auth.reviewer.token == ReviewerToken::Local;
    let host = match &auth.host {
        Some(host) => host.to_string(),
        None if local => FROM_A_POD.to_owned(),
        None => facts.server.clone().ok_or_else(|| {
            Error::usage(format!("cluster {name}: nothing says where Vault finds its API server"))
                .remedy("set `auth.host` (`--host`) to its URL")
        })?,
    };
    if !host.starts_with("https://") {
        return Err(Error::usage(format!("cluster {name}: Vault would send tokens to {host} in the clear"))
            .remedy("set `auth.host` (`--host`) to the API server's https URL"));
    }
    // Vault knows its own cluster by the CA of its pod, unless the file names another.
    let own_pods = local && auth.ca_cert.is_none();
    let ca = facts.ca.as_deref().filter(|_| !own_pods);
    let authorities = if own_pods { String::new() } else { authorities(name, ca)? };
    Ok(KubernetesConfig {
        kubernetes_host: host,
        kubernetes_ca_cert: authorities,
        // Without an issuer to compare with, the server would check nothing and look as if it did.
        disable_iss_validation: cluster.auth.issuer.is_none(),
        issuer: cluster.auth.issuer.clone().unwrap_or_default(),
        // The service account of the pod that Vault may run in is not the reviewer, unless the file says so.
        disable_local_ca_jwt: !local,
        use_annotations_as_alias_metadata: auth.annotations_as_metadata,
        ..KubernetesConfig::default()
    })
}

/// The CA that the API server is known by, PEM.
fn authorities(name: &ClusterName, ca: Option<&str>) -> Result<String> {
    let ca = ca.ok_or_else(|| {
        Error::usage(format!("cluster {name}: the kubeconfig names no CA for its API server"))
            .remedy("set `auth.caCert` (`--host-ca-cert`) to a file with the CA's certificate, so that Vault knows whom it asks")
    })?;
    let authorities = Authorities::parse(ca).ok_or_else(|| {
        Error::usage(format!("cluster {name}: the CA of its API server is no certificate in PEM form"))
            .remedy("set `auth.caCert` (`--host-ca-cert`) to a file with -----BEGIN CERTIFICATE----- in it")
    })?;
    Ok(authorities.to_pem())
}

/// Every field of one role, because a POST keeps what it doesn't name.
fn role(role: &config::Role) -> KubernetesRole {
    // The names × namespaces are no more than these accounts: the configuration was refused otherwise.
    let (accounts, patterns) = (role.service_accounts.iter(), role.account_patterns.iter());
    let exact = accounts.map(|account| (account.name.clone(), account.namespace.clone()));
    let globs = patterns.map(|pattern| (pattern.name.clone(), pattern.namespace.clone()));
    let (mut names, namespaces): (BTreeSet<String>, BTreeSet<String>) = exact.chain(globs).unzip();
    names.extend(role.labelled.iter().flat_map(|labelled| labelled.names.iter().cloned()));
    KubernetesRole {
        bound_service_account_names: names.into_iter().collect(),
        bound_service_account_namespaces: namespaces.into_iter().collect(),
        bound_service_account_namespace_selector: role
            .labelled
            .as_ref()
            .map(|labelled| labelled.selector.document())
            .unwrap_or_default(),
        audience: role.audiences.first().map(ToString::to_string).unwrap_or_default(),
        alias_name_source: match role.alias_name_source {
            Some(AliasNameSource::ServiceAccountName) => "serviceaccount_name",
            None | Some(AliasNameSource::ServiceAccountUid) => "serviceaccount_uid",
        }
        .to_owned(),
        token: token_fields(role),
    }
}
