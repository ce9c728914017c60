//! Parts of a configuration that come from flags in place of a file.
//!
//! The small commands make a [`Config`](super::Config) of these, so that they run through the same pipeline as a file.

use std::collections::BTreeMap;

use super::key_source::DEFAULT_RETENTION;
use super::kv_path::{KvPathError, kv_path};
use super::{Auth, Cluster, ClusterSource, Grant, KeySource, Leeways, Method, Position, Role, TokenSettings, Verb};
use crate::error::{Error, Result};
use crate::names::{Audience, ClusterName, MountPath, PolicyName, RoleName, ServiceAccountRef};
use crate::policy::{Capability, PolicyPath};

/// A cluster's name made of another name: what can't stand in one becomes a `-`.
///
/// # Errors
/// When nothing of it can stand in a cluster's name.
pub fn cluster_named_after(name: &str) -> Result<ClusterName> {
    let plain = name.replace(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'), "-");
    plain.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_').parse().map_err(
        |error: crate::names::InvalidName| {
            let remedy = error.remedy.clone();
            Error::usage(format!("{name:?} gives no name for a cluster")).because(error).remedy(remedy)
        },
    )
}

/// A cluster with a `jwt` mount that has its keys pinned, and no roles.
///
/// # Errors
/// When the mount's path gives no name for the cluster.
pub fn jwt_cluster(
    mount: MountPath,
    source: ClusterSource,
    issuer: Option<String>,
    description: Option<String>,
) -> Result<Cluster> {
    Ok(Cluster {
        name: cluster_named_after(mount.as_str())?,
        position: Position::START,
        source,
        kv: super::DEFAULT_KV.parse().map_err(|error: crate::names::InvalidName| Error::failed(error.to_string()))?,
        auth: Auth {
            mount,
            position: Position::START,
            description,
            exclusive: false,
            issuer,
            keys_ca_cert: None,
            method: Method::Jwt(KeySource::Pinned { retention: DEFAULT_RETENTION }),
        },
        roles: Vec::new(),
    })
}

/// A role that binds service accounts, with every other field at its default.
pub fn one_role(
    name: RoleName,
    service_accounts: Vec<ServiceAccountRef>,
    policies: Vec<PolicyName>,
    audience: Audience,
    token: TokenSettings,
) -> Role {
    Role {
        name,
        position: Position::START,
        service_accounts,
        policies,
        token_audiences: vec![audience.clone()],
        audience,
        user_claim: "sub".to_owned(),
        bound_claims: BTreeMap::new(),
        allow_globs: false,
        alias_name_source: None,
        token,
        leeways: Leeways::default(),
    }
}

/// What a verb grants on KV paths, which may have their mount in front.
///
/// # Errors
/// When one of the paths is none below the mount.
pub fn kv_grants(mount: &MountPath, verb: Verb, paths: &[String]) -> Result<Vec<Grant>> {
    let grant = |path: &String| {
        kv_path(path, mount, &[])
            .map(|path| Grant::Kv { mount: mount.clone(), verb, path })
            .map_err(|error| refused_path(&error))
    };
    paths.iter().map(grant).collect()
}

fn refused_path(error: &KvPathError) -> Error {
    let remedy = error.remedy();
    Error::usage(error.to_string()).remedy(remedy)
}

/// A rule written `path=capability,capability`.
///
/// # Errors
/// When there is no `=`, the path can't be one, or a capability is unknown.
pub fn rule(text: &str) -> Result<Grant> {
    const HOW: &str = "write it as `auth/token/lookup-self=read`, with commas between capabilities";
    // A path may hold a `=`, a capability can't.
    let Some((path, words)) = text.rsplit_once('=') else {
        return Err(Error::usage(format!("the rule {text:?} has no `=` between path and capabilities")).remedy(HOW));
    };
    let path = PolicyPath::new(path).map_err(|error| {
        let remedy = error.remedy().unwrap_or(HOW);
        Error::usage(error.to_string()).remedy(remedy)
    })?;
    let capability = |word: &str| {
        word.trim().parse::<Capability>().map_err(|error| Error::usage(error.to_string()).remedy(error.remedy()))
    };
    let capabilities = words.split(',').map(capability).collect::<Result<_>>()?;
    Ok(Grant::Rule { path, capabilities })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_after_what_there_is() {
        for (name, cluster) in
            [("taloslmn", "taloslmn"), ("team/jwt", "team-jwt"), ("arn:aws:eks/prod", "arn-aws-eks-prod")]
        {
            assert_eq!(cluster_named_after(name).unwrap().as_str(), cluster);
        }
        assert!(cluster_named_after("://").is_err());
    }

    #[test]
    fn a_rule_may_have_an_equals_sign_in_its_path() {
        let Ok(Grant::Rule { path, capabilities }) = rule("kv/a=b=read,list") else { panic!("it is a rule") };
        assert_eq!((path.as_str(), capabilities), ("kv/a=b", vec![Capability::Read, Capability::List]));
        for text in ["a", "a=", "a=fly", "=read"] {
            assert!(rule(text).is_err(), "{text}");
        }
    }
}
