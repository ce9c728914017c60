//! The least Vault policy that a configuration's `bootstrap` needs: one rule for each thing that it does.
//!
//! Pure: it follows from the configuration alone, because the operator never touches a secret and so needs no KV version.

use std::fmt::Write as _;
use std::io::{self, Write as Out};

use serde::Serialize;

use crate::access::{beside_kv, denies};
use crate::config::{Cluster, Config, Grant, KeySource, Method, Role};
use crate::desired::{self, kv_mounts, made_kv_mounts};
use crate::document::Report;
use crate::error::{Error, Result};
use crate::fix::VaultCli;
use crate::model::{TokenKind, token_kind};
use crate::names::{INVENTORIES, Owner, below_namespaces};
use crate::ownership::Place;
use crate::policy::Capability::{Create, Delete, List, Read, Sudo, Update};
use crate::policy::{Acl, Capability, Policy, PolicyPath, Rule};

/// A policy for the operator, rule by rule.
#[derive(Debug, Serialize)]
pub struct OperatorPolicy {
    /// The rules.
    pub rules: Vec<OperatorRule>,
    /// All of it as text, to be given to `vault policy write`.
    pub policy: String,
}

/// One rule.
#[derive(Debug, Serialize)]
pub struct OperatorRule {
    /// The API path.
    pub path: PolicyPath,
    /// What must be allowed on it.
    pub capabilities: Vec<Capability>,
    /// What needs it.
    pub purpose: Purpose,
    /// What it is for, in a sentence without a full stop.
    pub about: String,
}

/// What needs a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// `plan` and `bootstrap`: without it they fail.
    Bootstrap,
    /// The logins of `bootstrap`: without it a check fails or warns.
    Verification,
    /// Seeing more, or the same in fewer requests: without it they do with what they see.
    Observation,
    /// Deleting what the configuration doesn't name.
    Prune,
    /// Taking over what another owner wrote.
    #[serde(rename = "take-over")]
    TakeOver,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Bootstrap, Self::Verification, Self::Observation, Self::Prune, Self::TakeOver];

    fn heading(self) -> &'static str {
        match self {
            Self::Bootstrap => "To plan and to bootstrap.",
            Self::Verification => "To verify roles whose tokens can't ask about themselves, or may not end themselves.",
            Self::Observation => "To see all that is there, in few requests. Nothing fails without these.",
            Self::Prune => "To delete what the configuration doesn't name any more.",
            Self::TakeOver => "To take over roles and mounts of other owners, for as long as that is wanted.",
        }
    }
}

/// The least policy that the configuration needs; with `prune` also what deleting takes, and what it takes to have roles and mounts
/// from these owners.
///
/// # Errors
/// When a name of the configuration can't stand in the path of a rule.
pub fn operator_policy(config: &Config, prune: bool, take_over: &[Owner]) -> Result<OperatorPolicy> {
    let mut rules = Rules::default();
    bootstrap(config, &mut rules)?;
    verification(config, &mut rules)?;
    observation(config, prune, &mut rules)?;
    if prune {
        deletion(config, &mut rules)?;
    }
    taking_over(config, take_over, &mut rules)?;
    let policy = text(&rules.0);
    Ok(OperatorPolicy { rules: rules.0, policy })
}

/// Vault's own policy, which it gives to every login.
const DEFAULT: &str = "sys/policies/acl/default";

fn bootstrap(config: &Config, rules: &mut Rules) -> Result<()> {
    let mut add = |path: &str, capabilities: &[Capability], about: String| {
        rules.add(Purpose::Bootstrap, path, capabilities, about)
    };
    if !config.clusters.is_empty() {
        add("sys/auth", &[Read], "See which auth mounts there are".to_owned())?;
    }
    for mount in kv_mounts(config) {
        add(&format!("sys/mounts/{mount}"), &[Read], format!("Ask whether {mount}/ is KV version 1 or 2"))?;
    }
    for mount in made_kv_mounts(config) {
        let own = std::iter::once(format!("sys/mounts/{mount}"));
        // Its path may begin with that of a child namespace, which is asked and makes it then.
        let below = below_namespaces(mount.as_str()).map(|(namespace, own)| format!("{namespace}/sys/mounts/{own}"));
        for path in own.chain(below) {
            let about = format!("Make the KV mount {mount}/ where it isn't there");
            add(&path, &[Read, Update], about)?;
        }
    }
    for cluster in &config.clusters {
        of_mount(cluster, config.owner.as_ref(), &mut add)?;
        let mount = &cluster.auth.mount;
        for role in &cluster.roles {
            let about = format!("Compare and write the role {}", role.name);
            add(&format!("auth/{mount}/role/{}", role.name), &[Create, Read, Update], about)?;
        }
    }
    for (owner, cluster) in config.owner.iter().flat_map(|owner| config.clusters.iter().map(move |c| (owner, c))) {
        let mount = &cluster.auth.mount;
        for path in inventory(&Place::first(owner, mount).policy()) {
            add(&path, &[Read, Update], format!("Keep in mind which roles of auth/{mount} are of the owner {owner}"))?;
        }
    }
    for policy in &config.policies {
        let about = format!("Compare and write the policy {}", policy.name);
        add(&format!("sys/policies/acl/{}", policy.name), &[Read, Update], about)?;
    }
    Ok(())
}

/// The paths of an inventory: its first part, and all further ones.
fn inventory(first: &str) -> [String; 2] {
    let first = format!("sys/policies/acl/{first}");
    let further = format!("{first}:*");
    [first, further]
}

/// What a mount itself takes. One that another file keeps is only looked at.
fn of_mount(
    cluster: &Cluster,
    owner: Option<&Owner>,
    add: &mut impl FnMut(&str, &[Capability], String) -> Result<()>,
) -> Result<()> {
    let (name, mount) = (&cluster.name, &cluster.auth.mount);
    let config = format!("auth/{mount}/config");
    if !cluster.auth.managed {
        return add(
            &config,
            &[Read],
            format!("Compare its configuration, which another file keeps, with what {name} needs"),
        );
    }
    add(&format!("sys/auth/{mount}"), &[Update, Sudo], format!("Enable the auth mount of {name}"))?;
    let records = matches!(cluster.auth.method, Method::Jwt(KeySource::Pinned { .. }));
    let tunes = !desired::tune(&cluster.auth.tune).settings.is_empty();
    let what = match (cluster.auth.description.is_some(), tunes) {
        (true, true) => Some("description and settings"),
        (true, false) => Some("description"),
        (false, true) => Some("settings"),
        (false, false) => None,
    };
    let about = match (records, what) {
        (true, Some(what)) => Some(format!("Record which keys {name} publishes, and set the mount's {what}")),
        (true, None) => Some(format!("Record which keys {name} publishes")),
        (false, Some(what)) => Some(format!("Set its {what} where it was there before")),
        (false, None) => None,
    };
    let noted = owner.map(|owner| format!("Note in it that the file of the owner {owner} keeps it"));
    for about in about.into_iter().chain(noted) {
        add(&format!("sys/mounts/auth/{mount}/tune"), &[Update], about)?;
    }
    let about = format!("Compare and write its configuration: what tells tokens of {name} from others");
    add(&config, &[Read, Update], about)?;
    if cluster.auth.exclusive {
        let about = "See which roles there are: it is exclusive, and may hold no others".to_owned();
        add(&format!("auth/{mount}/role"), &[List], about)?;
    }
    Ok(())
}

fn verification(config: &Config, rules: &mut Rules) -> Result<()> {
    let (mut asked, mut batch) = (Vec::new(), Vec::new());
    let mut may_not_learn = Vec::new();
    let mut may_not_end = Vec::new();
    // A role without service accounts isn't logged in to.
    let tried = config.clusters.iter().flat_map(|cluster| {
        let of_mount = cluster.auth.tune.token_type.as_deref().unwrap_or_default();
        let tried = cluster.roles.iter().filter(|role| !role.service_accounts.is_empty() || role.labelled.is_some());
        tried.map(move |role| (role, token_kind(of_mount, role.token.token_type.as_str())))
    });
    for (role, kind) in tried {
        // Nobody ends a batch token, and it has no accessor.
        if kind == TokenKind::Batch {
            batch.push(role.name.as_str());
            continue;
        }
        asked.push(role.name.as_str());
        // A token of few uses may not ask what its rules are.
        if role.token.num_uses > 0 && !role.token.no_default_policy {
            may_not_learn.push(role.name.as_str());
        }
        if !allowed(config, role, "auth/token/revoke-self") {
            may_not_end.push(role.name.as_str());
        }
    }
    // Whether a token may ask about itself is up to whoever writes its policies, `default` among them.
    if !asked.is_empty() {
        let about = "Ask what a login may do, where it may not itself or has no use to spare".to_owned();
        rules.add(Purpose::Verification, "sys/capabilities-accessor", &[Update], about)?;
    }
    if !batch.is_empty() {
        let about = format!("Ask the same of tokens that have no accessor, for {}", batch.join(", "));
        rules.add(Purpose::Verification, "sys/capabilities", &[Update], about)?;
    }
    if !may_not_learn.is_empty() {
        let about = format!("Know what every login may do besides, for {}", may_not_learn.join(", "));
        rules.add(Purpose::Verification, DEFAULT, &[Read], about)?;
    }
    if !may_not_end.is_empty() {
        let about = format!("End the test's token, for {}", may_not_end.join(", "));
        rules.add(Purpose::Verification, "auth/token/revoke-accessor", &[Update], about)?;
    }
    Ok(())
}

/// Whether a login as the role may `update` a path. Vault's policy `default`, as it comes, allows those asked for here.
fn allowed(config: &Config, role: &Role, path: &str) -> bool {
    if !role.token.no_default_policy {
        return true;
    }
    let given = config.policies.iter().filter(|policy| role.policies.contains(&policy.name));
    let granted = given.flat_map(|policy| &policy.grants).filter_map(|grant| match grant {
        Grant::Rule { path, capabilities, .. } => Some(Rule::new(path.clone(), capabilities.iter().copied())),
        Grant::Kv { .. } => None,
    });
    Acl::new([&Policy::new(granted)]).capabilities(path).allows(Update) == Some(true)
}

fn observation(config: &Config, prune: bool, rules: &mut Rules) -> Result<()> {
    let verified = rules.0.iter().any(|rule| rule.path.as_str() == DEFAULT);
    let mut add = |path: &str, capabilities: &[Capability], about: &str| {
        rules.add(Purpose::Observation, path, capabilities, about.to_owned())
    };
    let mut logins = config.clusters.iter().flat_map(|cluster| &cluster.roles);
    if !verified && logins.any(|role| !role.token.no_default_policy) {
        add(DEFAULT, &[Read], "Know what every login may do besides")?;
    }
    let known = kv_mounts(config);
    for mount in beside_kv(config).0.into_iter().filter(|mount| !known.contains(mount)) {
        add(&format!("sys/mounts/{mount}"), &[Read], "Tell whether rules name paths that the KV mount has")?;
    }
    if denies(config) {
        add("sys/mounts", &[Read], "Tell whether rules deny something on a mount that isn't there")?;
    }
    add("sys/policies/detailed/acl", &[List], "Read all policies in one request (OpenBao)")?;
    add("sys/policies/acl", &[List], "See which policies there are")?;
    add(
        "sys/ha-status",
        &[Read],
        "See what others wrote, also through a standby that has not heard of it yet (OpenBao)",
    )?;
    for cluster in &config.clusters {
        let (mount, exclusive) = (&cluster.auth.mount, cluster.auth.exclusive);
        if !exclusive {
            add(&format!("auth/{mount}/role"), &[List], "See which roles there are")?;
        }
        for path in inventory(&Place::of_any_owner(mount)) {
            add(&path, &[Read], &format!("See which roles of auth/{mount} other owners wrote"))?;
        }
        if matches!(cluster.auth.method, Method::Jwt(_)) {
            add(&format!("auth/{mount}/cel/role"), &[List], "See which CEL roles there are (OpenBao)")?;
        }
        // With what deletes them comes that as well.
        if !(prune && (exclusive || config.owner.is_some())) {
            add(&format!("auth/{mount}/role/*"), &[Read], "See whom roles beside those of the configuration let in")?;
        }
    }
    Ok(())
}

fn deletion(config: &Config, rules: &mut Rules) -> Result<()> {
    for cluster in config.clusters.iter().filter(|cluster| cluster.auth.exclusive || config.owner.is_some()) {
        let about = match (cluster.auth.exclusive, &config.owner) {
            (false, Some(owner)) => format!(
                "Delete roles of {owner} that the configuration names no more. The server can't tell those from others: this \
                 allows deleting any role of the mount"
            ),
            _ => "See and delete roles that the configuration doesn't name: it is exclusive".to_owned(),
        };
        rules.add(Purpose::Prune, &format!("auth/{}/role/*", cluster.auth.mount), &[Read, Delete], about)?;
        if cluster.auth.exclusive && matches!(cluster.auth.method, Method::Jwt(_)) {
            let about = "Delete CEL roles (OpenBao), none of which a configuration names".to_owned();
            rules.add(Purpose::Prune, &format!("auth/{}/cel/role/*", cluster.auth.mount), &[Delete], about)?;
        }
    }
    let about = "Find and delete policies that vaultk8s wrote. The server can't tell those from others: this allows \
                 deleting any policy but those above"
        .to_owned();
    rules.add(Purpose::Prune, "sys/policies/acl/*", &[Read, Delete], about)?;
    let about = "But not the inventories of owners, which say whose the roles are".to_owned();
    rules.add(Purpose::Prune, &format!("sys/policies/acl/{INVENTORIES}*"), &[Read], about)
}

/// Another owner's name of a role is taken out of its inventory.
fn taking_over(config: &Config, owners: &[Owner], rules: &mut Rules) -> Result<()> {
    let others: Vec<&Owner> = owners.iter().filter(|other| config.owner.as_ref() != Some(*other)).collect();
    if !others.is_empty() {
        let about = "Ask whether the token may finish it, before anything is changed".to_owned();
        rules.add(Purpose::TakeOver, "sys/capabilities-self", &[Update], about)?;
    }
    for (owner, cluster) in others.iter().flat_map(|owner| config.clusters.iter().map(move |c| (*owner, c))) {
        let mount = &cluster.auth.mount;
        for path in inventory(&Place::first(owner, mount).policy()) {
            let about = format!("Take what is taken over of auth/{mount} out of the inventory of the owner {owner}");
            rules.add(Purpose::TakeOver, &path, &[Read, Update], about)?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Rules(Vec<OperatorRule>);

impl Rules {
    fn add(&mut self, purpose: Purpose, path: &str, capabilities: &[Capability], about: String) -> Result<()> {
        let path = PolicyPath::new(path)
            .map_err(|error| Error::failed(format!("{path:?} can't be the path of a rule")).because(error))?;
        self.0.push(OperatorRule { path, capabilities: capabilities.to_vec(), purpose, about });
        Ok(())
    }
}

fn text(rules: &[OperatorRule]) -> String {
    let write = VaultCli::default().run("policy write vaultk8s-operator FILE").shown();
    let mut text = format!(
        "# What vaultk8s needs for one configuration, and nothing else. It belongs into the namespace that the\n\
         # configuration is for: {write}.\n"
    );
    for purpose in Purpose::ALL {
        let mut of_purpose = rules.iter().filter(|rule| rule.purpose == purpose).peekable();
        // Writing to a String can't fail.
        if of_purpose.peek().is_some() {
            let _ = write!(text, "\n## {}\n", purpose.heading());
        }
        for rule in of_purpose {
            let one = Policy::new([Rule::new(rule.path.clone(), rule.capabilities.iter().copied())]);
            let _ = write!(text, "\n# {}.\n{}", rule.about, one.print(&[]));
        }
    }
    text
}

impl Report for OperatorPolicy {
    const KIND: &'static str = "OperatorPolicy";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        out.write_all(self.policy.as_bytes())
    }
}
