//! A `kubernetes` mount: what its reviewer needs in the cluster, and its configuration with the reviewer's token.
//!
//! The token can't be read back from Vault, so that it is decided from evidence: what the server says (`…_jwt_set`), and
//! the record of what was written. A mount without a record was set up by somebody else; whether its token works is
//! for a login to show.

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::Subject;
use serde_json::{Value, json};

use super::fields::{FieldChange, changed};
use super::{Action, Change, Object, Write, trust, unsaid};
use crate::config::{Reviewer, ReviewerToken};
use crate::desired::DesiredMount;
use crate::error::{Error, Result};
use crate::keys::Authorities;
use crate::model::{
    AUTH_DELEGATOR, ConfigDocument, KubernetesConfig, Manifest, Observed, ObservedBinding, ObservedClusterRole,
    ObservedReviewer, Record, TokenSource, Whose, described_subject, record_key, span, subject,
};
use crate::names::{Owner, ServiceAccountRef};
use crate::text::printable_line;

/// What has to change for one mount, without the mount itself and its roles.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) changes: Vec<Change>,
    /// How many objects were compared.
    pub(super) objects: usize,
    /// What the user should know about these changes.
    pub(super) notices: Vec<String>,
    /// What should give pause.
    pub(super) warnings: Vec<String>,
}

/// Compares the cluster's objects and the configuration.
///
/// # Errors
/// When an object of the cluster is taken by something else, and can't be changed.
pub(super) fn plan(
    address: &str,
    mount: &DesiredMount,
    reviewer: &Reviewer,
    config: &KubernetesConfig,
    (observed, owner): (&Observed, Option<&Owner>),
    now: Timestamp,
) -> Result<Planned> {
    let nothing = ObservedReviewer::default();
    let there = observed.reviewers.get(&mount.cluster).unwrap_or(&nothing);
    let mut planned = Planned::default();
    if reviewer.token.is_of_the_account() {
        planned.objects = if reviewer.token == ReviewerToken::Secret { 4 } else { 3 };
        // What lets it read namespaces, where it doesn't by something else.
        planned.objects += if reviewer.reads_namespaces { 2 } else { 0 };
        planned.changes = cluster_changes(mount, reviewer, there, owner)?;
        beyond_reviewing(mount, reviewer, there, &mut planned);
    }
    planned.objects += 1;
    let record = record(address, mount, observed);
    let before = match observed.mounts.get(&mount.path).and_then(|mount| mount.config.as_ref()) {
        Some(ConfigDocument::Kubernetes(before)) if *before != KubernetesConfig::default() => Some(before),
        _ => None,
    };
    let refused = observed.refusing.contains(&mount.path);
    let asked = observed.asked.contains(&mount.path);
    let token = Token { source: reviewer.token_source(), there, record, refused, asked, now };
    let (config, kept) = unsaid::kept_of_kubernetes(mount, config, before);
    if let Some(mut change) = config_change(mount, &config, before, &token) {
        planned.notices.extend(kept);
        change.needs.extend(planned.changes.iter().map(|change| change.object.clone()));
        // Only where it is decided, not on every run that changes something else.
        if change.fields.iter().any(|field| field.field == "disable_iss_validation" && field.after == true) {
            planned.warnings.push(format!(
                "auth/{} leaves the issuer of tokens unchecked (disable_iss_validation): the cluster says itself whether \
                 a token is its own. Set `auth.issuer` to have it compared as well",
                mount.path
            ));
        }
        planned.changes.push(change);
    } else if let Some(why) = before.and(token.unknown()) {
        planned.notices.push(format!(
            "auth/{}: whether Vault has {} can't be known, because what it was given before can't be read in cluster {} ({}): its \
             token is left as it is; `vaultk8s auth kubernetes` with this token gives it",
            mount.path,
            token.source,
            mount.cluster,
            printable_line(why)
        ));
    } else if let Some(expires) = token.record.and_then(|record| record.expires) {
        planned.notices.push(format!(
            "the reviewer's token of auth/{} expires at {}; `vaultk8s bootstrap` renews it with less than a third of its \
             lifetime left",
            mount.path,
            moment(expires)
        ));
    }
    Ok(planned)
}

/// What is remembered of the token that the mount was given, where this tool gave it one by the file's reviewer.
pub(super) fn record(address: &str, mount: &DesiredMount, observed: &Observed) -> Option<Record> {
    let vault = observed.auth_mounts.get(mount.path.as_str())?;
    let account = observed.reviewers.get(&mount.cluster)?.account.as_ref()?;
    serde_json::from_str(account.get(&record_key(address, &vault.accessor))?).ok()
}

/// What the reviewer, and others by its binding, may do beside what it is there for. It is somebody else's, and stays.
fn beyond_reviewing(mount: &DesiredMount, reviewer: &Reviewer, there: &ObservedReviewer, planned: &mut Planned) {
    let (cluster, account) = (&mount.cluster, &reviewer.service_account);
    let mut tell = |name: &str, role: &str, binding: Option<&ObservedBinding>| {
        // One of the name that gives something else is refused, or not the reviewer's.
        let Some(binding) = binding.filter(|binding| binding.gives(role)) else { return };
        let others = binding.others(account);
        let shared = |others: &[String]| {
            (!others.is_empty()).then(|| {
                format!(
                    "cluster {cluster}: the ClusterRoleBinding {name} gives {role} to others as well, and is left so: {}",
                    others.join(", ")
                )
            })
        };
        planned.warnings.extend(shared(&others.crowds));
        planned.notices.extend(shared(&others.single));
    };
    tell(&reviewer.binding_name, AUTH_DELEGATOR, there.binding.as_ref());
    let name = reviewer.namespaces_name();
    let rights = there.namespaces.as_ref();
    tell(&name, &name, rights.and_then(|rights| rights.binding.as_ref()));
    let needed = if reviewer.reads_namespaces { ", and to get namespaces, and nothing else" } else { " alone" };
    planned.warnings.extend(there.powers.as_deref().filter(|powers| !powers.is_empty()).map(|powers| {
        format!(
            "cluster {cluster}: the reviewer {account}, whose token Vault has, may also {}; it needs {AUTH_DELEGATOR}{needed}",
            powers.join(", ")
        )
    }));
}

fn cluster_changes(
    mount: &DesiredMount,
    reviewer: &Reviewer,
    there: &ObservedReviewer,
    owner: Option<&Owner>,
) -> Result<Vec<Change>> {
    let account = &reviewer.service_account;
    let mut changes = Vec::new();
    let mut add = |action, manifest: Manifest, fields, takes_over| {
        let needs: Vec<Object> = changes.iter().map(|change: &Change| change.object.clone()).collect();
        let object =
            Object::Kubernetes { cluster: mount.cluster.clone(), kind: manifest.kind(), name: manifest.name() };
        changes.push(Change {
            cluster: Some(mount.cluster.clone()),
            fields,
            takes_over,
            needs,
            ..Change::new(action, object, Write::Kubernetes { cluster: mount.cluster.clone(), manifest })
        });
    };
    if !there.namespace {
        add(Action::Create, Manifest::Namespace { name: account.namespace.clone() }, Vec::new(), None);
    }
    if there.account.is_none() {
        add(Action::Create, Manifest::ServiceAccount { account: account.clone() }, Vec::new(), None);
    }
    let binding = Binding { name: &reviewer.binding_name, role: AUTH_DELEGATOR, there: there.binding.as_ref() };
    if let Some((action, manifest, fields, takes_over)) = bound(mount, account, &binding, owner)? {
        add(action, manifest, fields, takes_over);
    }
    let name = reviewer.namespaces_name();
    if let Some(rights) = there.namespaces.as_ref().filter(|rights| !rights.are_there(&name, account)) {
        if let Some(action) = namespaces_role(mount, &name, rights.role.as_ref())? {
            let fields = vec![field("rules", None, json!("get namespaces"))];
            add(action, Manifest::ClusterRole { name: name.clone(), owner: owner.cloned() }, fields, None);
        }
        let binding = Binding { name: &name, role: &name, there: rights.binding.as_ref() };
        if let Some((action, manifest, fields, takes_over)) = bound(mount, account, &binding, owner)? {
            add(action, manifest, fields, takes_over);
        }
    }
    let name = &reviewer.secret_name;
    match &there.secret {
        _ if reviewer.token != ReviewerToken::Secret => {}
        Some(secret) if secret.belongs_to(account) => {}
        Some(_) => {
            return Err(Error::failed(format!(
                "cluster {}: the Secret {}/{name} is there already and is no token Secret of {account}",
                mount.cluster, account.namespace
            ))
            .remedy("set another `secretName:` of the reviewer")
            .remedy("or, if nothing needs that one any more, delete it by hand: its type can't be changed"));
        }
        None => {
            let manifest = Manifest::Secret { name: name.clone(), account: account.clone() };
            let fields = vec![field("type", None, manifest.document()["type"].clone())];
            add(Action::Create, manifest, fields, None);
        }
    }
    Ok(changes)
}

/// What becomes of the `ClusterRole` that lets the reviewer read namespaces.
///
/// # Errors
/// When another is there under its name: whoever is bound to it may do all that it allows, now or later.
fn namespaces_role(mount: &DesiredMount, name: &str, there: Option<&ObservedClusterRole>) -> Result<Option<Action>> {
    match there {
        None => Ok(Some(Action::Create)),
        Some(role) if role.gives && !role.wider => Ok(None),
        Some(role) if role.own => Ok(Some(Action::Update)),
        Some(role) => Err(Error::failed(format!(
            "cluster {}: the ClusterRole {name} is there already and {}",
            mount.cluster,
            if role.gives {
                "allows more than to get namespaces, and so would the reviewer's token, which Vault has"
            } else {
                "doesn't let anybody get namespaces"
            }
        ))
        .remedy("set another `bindingName:` of the reviewer, after which it is named")
        .remedy("or, if nothing needs that one any more, delete it by hand")),
    }
}

/// A binding that the reviewer needs, and what is there under its name.
struct Binding<'a> {
    name: &'a str,
    /// The `ClusterRole` that it gives.
    role: &'a str,
    there: Option<&'a ObservedBinding>,
}

/// What is written, how, with which fields, and whose it was.
type Written = (Action, Manifest, Vec<FieldChange>, Option<String>);

/// What becomes of a binding; nothing where it has the account.
///
/// # Errors
/// When it gives something else, which can't be changed, or another tool applies it.
fn bound(
    mount: &DesiredMount,
    account: &ServiceAccountRef,
    binding: &Binding<'_>,
    owner: Option<&Owner>,
) -> Result<Option<Written>> {
    let Binding { name, role, there } = *binding;
    if let Some(there) = there.filter(|there| !there.gives(role)) {
        return Err(Error::failed(format!(
            "cluster {}: the ClusterRoleBinding {name} is there already and binds {}, not {role}",
            mount.cluster, there.role
        ))
        .remedy("set another `bindingName:` of the reviewer")
        .remedy("or, if nothing needs that one any more, delete it by hand: its role can't be exchanged"));
    }
    if there.is_some_and(|there| there.has(account)) {
        return Ok(None);
    }
    let takes_over = there.map(|there| asked_for(mount, account, name, there, owner)).transpose()?.flatten();
    let before = there.map(|binding| binding.subjects.clone());
    let action = if before.is_none() { Action::Create } else { Action::Update };
    let mut subjects = before.clone().unwrap_or_default();
    subjects.push(subject(account));
    let mut fields = Vec::new();
    if before.is_none() {
        fields.push(field("roleRef", None, json!(format!("ClusterRole/{role}"))));
    }
    fields.push(field("subjects", before.map(|before| described_subjects(&before)), described_subjects(&subjects)));
    let manifest = Manifest::ClusterRoleBinding {
        name: name.to_owned(),
        role: role.to_owned(),
        subjects,
        owner: owner.cloned(),
        taken_over: takes_over.is_some(),
    };
    Ok(Some((action, manifest, fields, takes_over)))
}

/// Whose a binding is that the reviewer would be added to, where it isn't the file's own.
///
/// # Errors
/// When another tool applies it: whoever adds to its subjects takes all of them.
fn asked_for(
    mount: &DesiredMount,
    account: &ServiceAccountRef,
    name: &str,
    there: &ObservedBinding,
    owner: Option<&Owner>,
) -> Result<Option<String>> {
    match there.whose(owner) {
        Whose::Own => Ok(None),
        Whose::Applied(manager) => {
            let manager = printable_line(&manager);
            Err(Error::failed(format!(
                "cluster {}: {account} is no subject of the ClusterRoleBinding {name}, whose subjects {manager} applies: they are \
                 one list, and who adds to it takes all of it",
                mount.cluster
            ))
            .remedy("set another `bindingName:` of the reviewer")
            .remedy(format!("or add {account} to the subjects where {manager} has them from")))
        }
        whose => {
            let ours = owner.map(|owner| format!(" of the owner {owner}")).unwrap_or_default();
            Ok(Some(format!(
                "it belongs to {whose}, and {account}, the reviewer{ours}, would be added; another `bindingName` of the reviewer \
                 leaves it alone"
            )))
        }
    }
}

fn described_subjects(subjects: &[Subject]) -> Value {
    subjects.iter().map(described_subject).collect()
}

fn field(name: &str, before: Option<Value>, after: Value) -> FieldChange {
    FieldChange { field: name.to_owned(), before, after }
}

/// The reviewer's token, wanted and as far as it is known.
struct Token<'a> {
    source: TokenSource,
    there: &'a ObservedReviewer,
    record: Option<Record>,
    /// Whether a login showed that the mount has another.
    refused: bool,
    /// Whether the command is to give it, whichever the mount has.
    asked: bool,
    /// The time to plan for.
    now: Timestamp,
}

/// A time in seconds since 1970, as people write it.
fn moment(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.unwrap_or(Timestamp::MAX).to_string()
}

impl Token<'_> {
    /// Whether it is neither asked of the cluster nor Vault's own.
    fn is_from_elsewhere(&self) -> bool {
        matches!(self.source, TokenSource::File { .. } | TokenSource::Environment { .. })
    }

    /// Why it can't be known which token the mount has, where records would tell.
    fn unknown(&self) -> Option<&str> {
        self.there.unread.as_deref().filter(|_| self.is_from_elsewhere() && self.record.is_none())
    }

    /// What is wrong with the token that the mount has, if there is evidence that something is.
    fn drift(&self, set: Option<bool>) -> Option<String> {
        let record = self.record.as_ref();
        let said = match (&self.source, set) {
            (source, Some(true)) if !source.is_given() => "a reviewer's token".to_owned(),
            (source, _) if !source.is_given() => return None,
            (_, Some(false)) => "none".to_owned(),
            _ if self.refused => "a token that the cluster does not accept".to_owned(),
            (TokenSource::Secret { .. }, _) => {
                match (record, self.there.secret.as_ref().and_then(|secret| secret.token.as_ref())) {
                    (Some(record), Some(now)) if record.token == *now => return None,
                    (Some(_), Some(_)) => "another token than the Secret has now".to_owned(),
                    // One that works is left alone.
                    (None, Some(_)) => return None,
                    (Some(record), None) if record.expires.is_none() => "a token whose Secret is gone".to_owned(),
                    (Some(_), None) => "a token of no Secret".to_owned(),
                    (None, None) => "a token that there is no record of".to_owned(),
                }
            }
            (TokenSource::Bound { seconds, .. }, _) => match record {
                // Nobody would renew it in time.
                None => "a token of unknown lifetime".to_owned(),
                Some(record) if record.expires.is_none() => "a token that does not expire".to_owned(),
                // The moment, not what is left of it: a saved plan says the same for as long as it is the same.
                Some(record) if record.runs_out(u64::try_from(self.now.as_second()).unwrap_or_default()) => {
                    format!("a token that expires at {}", moment(record.expires.unwrap_or_default()))
                }
                // What the API server made of it is its own affair.
                Some(record) if record.asked.is_some_and(|asked| asked != *seconds) => {
                    format!("a token that was asked for {}", span(record.asked.unwrap_or_default()))
                }
                Some(_) => return None,
            },
            // Whose it is, and how long it lives, only its server knows: one that works is left alone, but for one that is known to be
            // another.
            (TokenSource::File { .. } | TokenSource::Environment { .. }, _) => {
                match (record, self.there.elsewhere.as_ref()) {
                    (Some(record), Some(now)) if record.token != *now => {
                        "another token, which it was given before".to_owned()
                    }
                    _ => return None,
                }
            }
            (TokenSource::Client | TokenSource::Local, _) => return None,
        };
        Some(said)
    }
}

fn config_change(
    mount: &DesiredMount,
    after: &KubernetesConfig,
    before: Option<&KubernetesConfig>,
    token: &Token<'_>,
) -> Option<Change> {
    let given = token.source.is_given();
    let compared = before.map(|before| {
        let mut before = before.clone();
        // Vault takes CA and token of its own pod only where the mount has none.
        if given && !before.kubernetes_ca_cert.is_empty() {
            before.disable_local_ca_jwt = after.disable_local_ca_jwt;
        }
        described(&before)
    });
    let mut fields = changed(compared.as_ref(), &described(after));
    let wrong = before.map(|before| token.drift(before.token_reviewer_jwt_set));
    match wrong {
        None if given => {
            fields.push(field("token_reviewer_jwt", None, token.source.to_string().into()));
        }
        Some(Some(wrong)) => {
            fields.push(field("token_reviewer_jwt", Some(wrong.into()), token.source.to_string().into()));
        }
        // Which token Vault has can't be seen, and it is replaced by every write.
        Some(None) if given && token.is_from_elsewhere() && (token.asked || !fields.is_empty()) => {
            let before = "the one that Vault has".to_owned();
            fields.push(field("token_reviewer_jwt", Some(before.into()), token.source.to_string().into()));
        }
        _ => {}
    }
    (!fields.is_empty()).then(|| Change {
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust: before.and_then(|before| trust::of_kubernetes(before, after).first().map(ToString::to_string)),
        needs: vec![Object::Mount { mount: mount.path.clone() }],
        ..Change::new(
            if before.is_none() { Action::Create } else { Action::Update },
            Object::Config { mount: mount.path.clone() },
            Write::KubernetesConfig {
                cluster: mount.cluster.clone(),
                mount: mount.path.clone(),
                config: after.clone(),
                token: token.source.clone(),
            },
        )
    })
}

/// The configuration with its CA as a person tells it from another.
fn described(config: &KubernetesConfig) -> Value {
    let mut fields = json!(config);
    if let Some(authorities) = Authorities::parse(&config.kubernetes_ca_cert) {
        fields["kubernetes_ca_cert"] = authorities.describe().into();
    }
    fields
}
