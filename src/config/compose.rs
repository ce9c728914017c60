//! Parts of a configuration that come from flags in place of a file.
//!
//! The small commands make a [`Config`](super::Config) of these, so that they run through the same pipeline as a file.

use std::collections::BTreeMap;

use super::key_source::DEFAULT_RETENTION;
use super::kv_path::{KvPathError, kv_path};
use super::{
    Auth, Cluster, ClusterSource, Grant, KeySource, KubernetesAuth, Leeways, Method, Position, Reviewer, ReviewerToken,
    Role, Task, TokenSettings, Tune, Verb, reviewer,
};
use crate::error::{Error, Result};
use crate::names::{Audience, ClusterName, InvalidName, MountPath, PolicyName, RoleName, ServiceAccountRef};
use crate::policy::{Capability, PolicyPath};

/// A cluster's name made of another name: what can't stand in one becomes a `-`.
///
/// # Errors
/// When nothing of it can stand in a cluster's name.
pub fn cluster_named_after(name: &str) -> Result<ClusterName> {
    let plain = name.replace(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'), "-");
    plain.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_').parse().map_err(|error: InvalidName| {
        let remedy = error.remedy.clone();
        Error::usage(format!("{name:?} gives no name for a cluster")).because(error).remedy(remedy)
    })
}

/// A cluster with nothing but an auth mount, as flags name it.
#[derive(Debug)]
pub struct NewCluster {
    /// The path of the mount.
    pub mount: MountPath,
    /// Where the cluster's facts come from.
    pub source: ClusterSource,
    /// The issuer, where it isn't to be the one that the cluster announces.
    pub issuer: Option<String>,
    /// The description of the mount; `None` leaves an existing one alone.
    pub description: Option<String>,
}

impl NewCluster {
    fn with(self, method: Method) -> Result<Cluster> {
        let Self { mount, source, issuer, description } = self;
        Ok(Cluster {
            name: cluster_named_after(mount.as_str())?,
            position: Position::START,
            source,
            kv: super::DEFAULT_KV.parse().map_err(|error: InvalidName| Error::failed(error.to_string()))?,
            auth: Auth {
                mount,
                position: Position::START,
                managed: true,
                description,
                tune: Tune::default(),
                exclusive: false,
                issuer,
                keys_ca_cert: None,
                provider_config: None,
                cert_extensions: None,
                default_role: None,
                whole: false,
                method,
            },
            roles: Vec::new(),
        })
    }
}

/// A cluster with a `jwt` mount that has its keys pinned, and no roles.
///
/// # Errors
/// When the mount's path gives no name for the cluster.
pub fn jwt_cluster(cluster: NewCluster) -> Result<Cluster> {
    cluster.with(Method::Jwt(KeySource::Pinned { retention: DEFAULT_RETENTION }))
}

/// A cluster with a `kubernetes` mount, and no roles.
///
/// # Errors
/// When the mount's path gives no name for the cluster.
pub fn kubernetes_cluster(cluster: NewCluster, auth: KubernetesAuth) -> Result<Cluster> {
    cluster.with(Method::Kubernetes(Box::new(auth)))
}

/// What flags say about the reviewer of a `kubernetes` mount; what they leave out is as in a file.
#[derive(Debug, Default)]
pub struct ReviewerFlags {
    /// `--reviewer`.
    pub service_account: Option<ServiceAccountRef>,
    /// `--reviewer-token`.
    pub token: ReviewerToken,
    /// `--secret-name`.
    pub secret_name: Option<String>,
    /// `--binding-name`.
    pub binding_name: Option<String>,
    /// `--lifetime`, in seconds.
    pub lifetime: Option<u64>,
}

impl ReviewerFlags {
    /// The reviewer that they describe.
    ///
    /// # Errors
    /// When a name can't be one, a lifetime is too short, or a flag says nothing with this kind of token.
    pub fn reviewer(self) -> Result<Reviewer> {
        let given = [
            ("serviceAccount", "--reviewer", self.service_account.is_some()),
            ("secretName", "--secret-name", self.secret_name.is_some()),
            ("bindingName", "--binding-name", self.binding_name.is_some()),
        ];
        let unused = reviewer::unused_fields(&self.token);
        if let Some((_, flag, _)) = given.into_iter().find(|(field, _, given)| *given && unused.contains(field)) {
            return Err(Error::usage(format!("{flag} is not used with this kind of --reviewer-token"))
                .remedy(format!("leave {flag} away, or choose another kind of token")));
        }
        if let ReviewerToken::Environment(name) = &self.token
            && let Some((problem, remedy)) = reviewer::unfit_variable("--reviewer-token-env", name)
        {
            return Err(Error::usage(problem).remedy(remedy));
        }
        if let Some(seconds) = self.lifetime {
            if self.token != ReviewerToken::Bound {
                return Err(Error::usage("--lifetime is for a bound token: the token of a Secret doesn't expire")
                    .remedy("add `--reviewer-token bound`, or leave --lifetime away"));
            }
            if let Some((problem, remedy)) = reviewer::unfit_lifetime(i64::try_from(seconds).unwrap_or(i64::MAX)) {
                return Err(Error::usage(problem).remedy(remedy));
            }
        }
        let fallback = reviewer::named_after(self.service_account)
            .ok_or_else(|| Error::failed("there is no name for the reviewer"))?;
        let secret_name = self.secret_name.map(|name| reviewer::secret_name("--secret-name", &name)).transpose();
        let binding_name = self.binding_name.map(|name| reviewer::binding_name("--binding-name", &name)).transpose();
        Ok(Reviewer {
            token: self.token,
            secret_name: secret_name.map_err(refused_name)?.unwrap_or(fallback.secret_name),
            binding_name: binding_name.map_err(refused_name)?.unwrap_or(fallback.binding_name),
            lifetime: self.lifetime,
            reads_namespaces: false,
            service_account: fallback.service_account,
        })
    }
}

fn refused_name(error: InvalidName) -> Error {
    Error::usage(error.to_string()).remedy(error.remedy)
}

/// A role that binds service accounts, with every other field at its default.
pub fn one_role(
    name: RoleName,
    service_accounts: Vec<ServiceAccountRef>,
    policies: Vec<PolicyName>,
    audiences: Vec<Audience>,
    token: TokenSettings,
) -> Role {
    Role {
        name,
        position: Position::START,
        service_accounts,
        policies,
        account_patterns: Vec::new(),
        labelled: None,
        token_audiences: audiences.clone(),
        each_audience_alone: audiences.len() > 1,
        audiences,
        user_claim: "sub".to_owned(),
        bound_claims: BTreeMap::new(),
        claim_mappings: BTreeMap::new(),
        groups_claim: None,
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
        no_placeholders(path)?;
        kv_path(path, mount, &[])
            .map(|path| Grant::Kv { mount: mount.clone(), verb, path })
            .map_err(|error| refused_path(&error))
    };
    paths.iter().map(grant).collect()
}

/// What a task grants on these paths.
///
/// # Errors
/// When one of them is about something else.
pub fn task_grants(task: Task, paths: &[String]) -> Result<Vec<Grant>> {
    let grant = |path: &String| {
        no_placeholders(path)?;
        let path = task.path(path).map_err(refused_name)?;
        Ok(Grant::Rule { position: Position::START, path, capabilities: vec![task.capability()], task: Some(task) })
    };
    paths.iter().map(grant).collect()
}

/// Sees to it that nothing is taken for text that stands for something in a file alone.
fn no_placeholders(path: &str) -> Result<()> {
    match ["accessor", "cluster", "each"]
        .into_iter()
        .find(|name| path.contains(&format!("{{{name}}}")) || (*name == "accessor" && path.contains("{accessor:")))
    {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!("`{{{name}}}` in {path:?} stands for something in a file alone"))
            .remedy("write out what it stands for here, or write the policy in a file")),
    }
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
    no_placeholders(path)?;
    let path = PolicyPath::new(path).map_err(|error| {
        let remedy = error.remedy().unwrap_or(HOW);
        Error::usage(error.to_string()).remedy(remedy)
    })?;
    let capability = |word: &str| {
        word.trim().parse::<Capability>().map_err(|error| Error::usage(error.to_string()).remedy(error.remedy()))
    };
    let capabilities = words.split(',').map(capability).collect::<Result<_>>()?;
    Ok(Grant::Rule { position: Position::START, path, capabilities, task: None })
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
        let Ok(Grant::Rule { path, capabilities, .. }) = rule("kv/a=b=read,list") else { panic!("it is a rule") };
        assert_eq!((path.as_str(), capabilities), ("kv/a=b", vec![Capability::Read, Capability::List]));
        for text in ["a", "a=", "a=fly", "=read"] {
            assert!(rule(text).is_err(), "{text}");
        }
    }
}
