//! One role, and one service account that logs in as it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::MountScene;
use crate::claims::wanted_of_a_pod;
use crate::config::{self, Config};
use crate::desired::{DesiredPolicy, kv_mounts, kv_mounts_of, made_kv_mounts};
use crate::error::{Error, Result};
use crate::fix::Command;
use crate::model::{AuthMethod, KvVersion, RoleDocument};
use crate::names::{Audience, ClusterName, MountPath, PolicyName, RoleName, ServiceAccountPattern, ServiceAccountRef};
use crate::policy::{Policy, Rule};
use crate::vault::{TokenInfo, VaultError, kv};
use crate::verify::facts::login::{Consumer, KvAs, KvInChild, Login, LoginAgain, Presented, Secret, Token};
use crate::verify::facts::mount::OneRole;
use crate::verify::facts::{Facts, Known, Knows, some};
use crate::verify::finding::{Finding, Status};
use crate::verify::grants::Compared;
use crate::verify::section::About;

/// A secret that the role's login should be able to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// The KV mount.
    pub(crate) mount: MountPath,
    /// The secret below it, without `data/`.
    pub(crate) path: String,
    /// The property that it should have.
    pub(crate) property: Option<String>,
    /// Whether nobody named the mount, so that it was taken for the usual one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) mount_is_guessed: bool,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.mount, self.path)?;
        self.property.iter().try_for_each(|property| write!(f, "#{property}"))
    }
}

/// Where a token is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TokenFrom {
    /// The cluster gives it, as it would to the consumer.
    Cluster,
    /// Whoever runs this brought it along.
    Whoever,
}

/// What is said of a role, and of one service account that logs in as it, before anybody is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RoleCase {
    /// The role.
    pub(crate) name: RoleName,
    /// Who logs in; `None` where nobody is named.
    pub(crate) account: Option<ServiceAccountRef>,
    /// Whom the role lets in where that is no account that could be tried.
    pub(crate) pattern: Option<ServiceAccountPattern>,
    /// Whom the role lets in by labels of namespaces; `account` is one of them then, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) labelled: Option<config::Labelled>,
    /// What the consumer asks `TokenRequest` for.
    pub(crate) audiences: Vec<Audience>,
    /// Whether nothing says what the consumer asks for, and the role, which would, can't be read.
    pub(crate) audience_is_guessed: bool,
    /// What the configuration says about the role.
    pub(crate) expected: Option<config::Role>,
    /// What the role's policies should be, where the configuration says it and the KV mounts' versions are known.
    pub(crate) policies: Vec<DesiredPolicy>,
    /// Those of the configuration's that wait for the version of their KV mount.
    pub(crate) waiting: Vec<config::FilePolicy>,
    /// The secrets that the login should be able to read.
    pub(crate) wanted: Vec<Wanted>,
    /// The KV mounts that the configuration names.
    pub(crate) kv: Vec<MountPath>,
    /// Those of them that the role's own policies are about.
    pub(crate) own_kv: Vec<MountPath>,
    /// Those that the configuration makes where they aren't there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) made_kv: Vec<MountPath>,
    /// All that the configuration's rules may be about.
    pub(crate) rules_kv: Vec<MountPath>,
    /// What logins may do beyond their policies, as the configuration says.
    pub(crate) allow: Policy,
    /// Where its token is from.
    pub(crate) token: TokenFrom,
    /// Why a token that was brought along isn't for it.
    #[serde(default)]
    pub(crate) not_for_it: Option<String>,
    /// Which try this is: 0 is the first.
    pub(crate) attempt: u8,
    /// Whether anybody logs in.
    pub(crate) logins: bool,
    /// Whether a store of External Secrets logs in as this role.
    pub(crate) used_by_stores: bool,
    /// How often one of the `ExternalSecret`s that refer to them uses a token, at the most; 0 where none does.
    pub(crate) uses_at_once: u64,
    /// How often its secrets are refreshed, in seconds, at the rarest, where something says so.
    pub(crate) refresh: Option<u64>,
}

/// One role, and one service account that logs in as it.
pub(crate) struct RoleScene {
    pub(crate) mount: Arc<MountScene>,
    case: RoleCase,
    /// What its login should be able to do and what its policies say, put together once.
    pub(in crate::verify) compared: OnceLock<Option<Compared>>,
}

impl Deref for RoleScene {
    type Target = RoleCase;

    fn deref(&self) -> &RoleCase {
        &self.case
    }
}

impl Knows for RoleScene {
    fn facts(&self) -> &Facts {
        &self.mount.vault.facts
    }
}

impl RoleCase {
    /// A role of a cluster of the configuration, as the account or pattern that comes at that place logs in as it.
    pub(crate) fn of_config(
        cluster: &ClusterName,
        role: &config::Role,
        at: usize,
        policies: &[DesiredPolicy],
        config: &Config,
    ) -> Self {
        let (at, audiences) = Self::login_at(role, at);
        let account = role.service_accounts.get(at).cloned();
        let beyond = at.checked_sub(role.service_accounts.len());
        let pattern = beyond.and_then(|at| role.account_patterns.get(at)).cloned();
        let labelled = beyond
            .and_then(|at| at.checked_sub(role.account_patterns.len()))
            .and_then(|at| role.labelled.as_ref()?.each().nth(at));
        let of_role = |name: &PolicyName| role.policies.contains(name);
        let policies: Vec<DesiredPolicy> = policies.iter().filter(|policy| of_role(&policy.name)).cloned().collect();
        let known = |policy: &config::FilePolicy| policies.iter().any(|known| known.name == policy.name);
        let waiting =
            config.policies.iter().filter(|policy| of_role(&policy.name) && !known(policy)).cloned().collect();
        let bare = Self::bare(role.name.clone(), account, audiences);
        let own = config.policies.iter().filter(|policy| role.policies.contains(&policy.name));
        let (kv, own_kv) = (kv_mounts(config), kv_mounts_of(own));
        let allow = config.allow.iter().filter(|entry| entry.cluster.as_ref().is_none_or(|of| of == cluster));
        let allow = Policy::new(allow.map(|entry| Rule::new(entry.path.clone(), entry.capabilities.iter().copied())));
        let (rules_kv, made_kv) = (config.kv_mounts.clone(), made_kv_mounts(config));
        Self {
            pattern,
            labelled,
            policies,
            waiting,
            kv,
            own_kv,
            made_kv,
            rules_kv,
            allow,
            expected: Some(role.clone()),
            ..bare
        }
    }

    /// How many scenes a role has: one for each that it lets in, and one where it names nobody; with each of the tokens that they ask for.
    pub(crate) fn logins_of(role: &config::Role) -> usize {
        let labelled = role.labelled.as_ref().map_or(0, |labelled| labelled.names.len());
        (role.service_accounts.len() + role.account_patterns.len() + labelled).max(1) * role.consumers().len()
    }

    /// Who logs in there, as a place among the role's accounts, its patterns and then its names without a namespace, and what for: each of them with each token.
    pub(crate) fn login_at(role: &config::Role, at: usize) -> (usize, Vec<Audience>) {
        let consumers = role.consumers();
        (at / consumers.len(), consumers[at % consumers.len()].clone())
    }

    /// A role of which nothing is known but what is asked.
    pub(crate) fn bare(name: RoleName, account: Option<ServiceAccountRef>, audiences: Vec<Audience>) -> Self {
        Self {
            name,
            account,
            pattern: None,
            labelled: None,
            audiences,
            audience_is_guessed: false,
            expected: None,
            policies: Vec::new(),
            waiting: Vec::new(),
            wanted: Vec::new(),
            kv: Vec::new(),
            own_kv: Vec::new(),
            made_kv: Vec::new(),
            rules_kv: Vec::new(),
            allow: Policy::default(),
            token: TokenFrom::Cluster,
            not_for_it: None,
            attempt: 0,
            logins: true,
            used_by_stores: false,
            uses_at_once: 0,
            refresh: None,
        }
    }

    /// Whether its token was brought along.
    pub(crate) fn is_presented(&self) -> bool {
        self.token == TokenFrom::Whoever
    }
}

impl RoleScene {
    /// What there is to look at, of this case.
    pub(crate) fn of(mount: Arc<MountScene>, case: RoleCase) -> Self {
        Self { mount, case, compared: OnceLock::new() }
    }

    /// What a section of its checks is about.
    pub(crate) fn about(&self) -> About {
        About::Role {
            cluster: self.mount.cluster.name.clone(),
            mount: self.mount.path.clone(),
            role: self.name.clone(),
            service_account: self.account.clone(),
            audience: self
                .expected
                .iter()
                .filter(|role| role.each_audience_alone)
                .find_map(|_| self.audiences.first().cloned()),
        }
    }

    /// What was said of it.
    pub(crate) fn case(&self) -> &RoleCase {
        &self.case
    }

    /// Where what its policies say is to be changed, and what is to be run then.
    pub(in crate::verify) fn where_policies_are(&self) -> String {
        if self.mount.source.is_flags() {
            let look = self.mount.vault.cli().run("policy read NAME");
            format!("in the policy, which {} shows", look.shown())
        } else {
            format!("in the file, {}", self.mount.source.then_bootstrap())
        }
    }

    /// Who logs in, and as what.
    pub(in crate::verify) fn consumer(&self) -> Consumer {
        Consumer {
            cluster: self.mount.cluster.name.clone(),
            mount: self.mount.path.clone(),
            role: self.name.clone(),
            account: self.account.clone(),
            audiences: self.audiences.clone(),
            attempt: self.attempt,
        }
    }

    /// What its clock is looked at for, which is worth nothing to another.
    pub(in crate::verify) fn moment(&self) -> String {
        let account = self.account.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("auth/{}/role/{} {account} {}", self.mount.path, self.name, self.attempt)
    }

    /// The role in Vault; `None` where it isn't there.
    pub(crate) fn document(&self) -> Known<Result<Option<&RoleDocument>, &VaultError>> {
        read_role(&self.mount, self.name.as_str(), self.attempt)
    }

    /// The role, where it is there and could be read.
    pub(crate) fn held(&self) -> Known<Option<&RoleDocument>> {
        Ok(self.document()?.ok().flatten())
    }

    /// The version of a KV mount: as the operator sees it, else as its own login was told.
    pub(crate) fn kv(&self, mount: &MountPath) -> Known<Result<KvVersion, &Error>> {
        let version = self.mount.vault.kv(mount)?;
        let told = || *self.facts().known(&KvAs { user: self.consumer(), mount: mount.clone() })?;
        Ok(version.or_else(|error| told().ok_or(error)))
    }

    /// The same, and its login is asked where the operator may not see it.
    pub(crate) fn kv_as(&self, mount: &MountPath) -> Known<Option<KvVersion>> {
        if let Ok(version) = self.mount.vault.kv(mount)? {
            return Ok(Some(version));
        }
        self.facts().get(&KvAs { user: self.consumer(), mount: mount.clone() }).copied()
    }

    /// Where a secret is read, once the version of its KV mount is known.
    pub(crate) fn api_path(&self, wanted: &Wanted) -> Known<Option<String>> {
        let version = self.kv(&wanted.mount)?.ok();
        Ok(version.map(|version| kv::value_path(&wanted.mount, version, &wanted.path)))
    }

    /// A command of Vault's own CLI about secrets of a mount, where that one is.
    pub(in crate::verify) fn kv_command(&self, words: &'static str, mount: &MountPath) -> Known<Command> {
        let cli = self.mount.vault.cli();
        let child = if mount.as_str().contains('/') {
            self.facts().get(&KvInChild { user: self.consumer(), mount: mount.clone() })?.as_ref()
        } else {
            None
        };
        Ok(match child {
            Some(child) => cli.in_namespace(&child.namespace).run(words).flag("-mount=", child.mount.as_str()),
            None => cli.run(words).flag("-mount=", mount.as_str()),
        })
    }

    /// The command that brings a version of a secret back; without a number a person fills that in.
    pub(in crate::verify) fn kv_undelete(
        &self,
        Wanted { mount, path, .. }: &Wanted,
        version: Option<u64>,
    ) -> Known<Command> {
        // `kv undelete` takes the last part alone of a mount's path that has several: the API takes all of it, in child namespaces too.
        if mount.as_str().contains('/') {
            let write = self.mount.vault.cli().write(&format!("{mount}/undelete/{path}"));
            return Ok(match version {
                Some(version) => write.field("versions", &version.to_string()),
                None => write.fixed("versions=…"),
            });
        }
        let undelete = self.kv_command("kv undelete", mount)?;
        Ok(match version {
            Some(version) => undelete.flag("-versions=", &version.to_string()),
            None => undelete.fixed("-versions=…"),
        }
        .name(path))
    }

    /// A failure, with what was taken for granted of secrets that were named without their mount: that may be what is wrong.
    pub(in crate::verify) fn with_guesses(&self, finding: Finding) -> Finding {
        if finding.status != Status::Failed {
            return finding;
        }
        let whose = if self.mount.source.is_flags() { "that this token sees" } else { "of the configuration" };
        self.wanted.iter().filter(|wanted| wanted.mount_is_guessed).fold(finding, |finding, wanted| {
            let Some((first, _)) = wanted.path.split_once('/') else { return finding };
            finding
                .with(
                    format!("--path {}", wanted.path),
                    format!("{first}/ is no KV mount {whose}, so it was taken for a path of {}/", wanted.mount),
                )
                .to_do(format!(
                    "where {first} was to be the mount, correct it in --path; {} shows what there is",
                    self.mount.vault.cli().run("secrets list").shown()
                ))
        })
    }

    /// What is in a secret, values apart, as the login sees it; `None` where it isn't there, or nobody logged in.
    pub(crate) fn secret(&self, wanted: &Wanted) -> Known<Result<Option<&kv::Shape>, &VaultError>> {
        if self.logged_in()?.is_none() {
            return Ok(Ok(None));
        }
        let Wanted { mount, path, .. } = wanted.clone();
        let version = self.kv(&mount)?.unwrap_or(KvVersion::V2);
        let read = self.facts().get(&Secret { consumer: self.consumer(), mount, version, path })?;
        Ok(read.as_ref().map(Option::as_ref))
    }

    /// What the token says of itself that the consumer would present.
    pub(crate) fn token(&self) -> Known<&Result<Presented>> {
        self.facts().get(&Token(self.consumer()))
    }

    /// The claims that the role wants and that only tokens of pods have, or those in Secrets, where none of these was brought along: nobody
    /// can log in from here then.
    pub(crate) fn wants_a_pod(&self) -> Known<Vec<String>> {
        Ok(match self.held()? {
            Some(RoleDocument::Jwt(role)) if !self.is_presented() => wanted_of_a_pod(role),
            _ => Vec::new(),
        })
    }

    /// What came of logging in; `None` where there is no token, or nobody is to log in, or can from here.
    pub(crate) fn login(&self) -> Known<Option<&Result<TokenInfo, VaultError>>> {
        if !self.logins || !self.wants_a_pod()?.is_empty() || self.token()?.is_err() {
            return Ok(None);
        }
        let login = some!(self.facts().get(&Login(self.consumer()))?.as_ref());
        let bound = self.expected.as_ref().is_some_and(|role| !role.token.bound_cidrs.is_empty());
        match login {
            Err(error) if !bound && self.mount.method()? == Some(AuthMethod::Kubernetes) => {
                let again = LoginAgain { consumer: self.consumer(), refused: error.clone() };
                Ok(self.facts().get(&again)?.as_ref())
            }
            login => Ok(Some(login)),
        }
    }

    /// What came of logging in, where somebody has: to look at it logs nobody in.
    pub(crate) fn login_so_far(&self) -> Known<Option<&Result<TokenInfo, VaultError>>> {
        if self.facts().known(&Login(self.consumer())).is_none() {
            return Ok(None);
        }
        self.login()
    }

    /// The login, where Vault accepted it.
    pub(crate) fn logged_in(&self) -> Known<Option<&TokenInfo>> {
        Ok(self.login()?.and_then(|login| login.as_ref().ok()))
    }
}

/// A role of a mount, whatever its name, at the first try or a later one; `None` where it isn't there.
pub(crate) fn read_role<'a>(
    mount: &'a MountScene,
    name: &str,
    attempt: u8,
) -> Known<Result<Option<&'a RoleDocument>, &'a VaultError>> {
    let Some(method) = mount.method()? else { return Ok(Ok(None)) };
    let role = mount.facts().get(&OneRole { mount: mount.path.clone(), method, name: name.to_owned(), attempt })?;
    Ok(role.as_ref().map(Option::as_ref))
}
