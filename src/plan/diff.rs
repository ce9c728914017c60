//! Desired − observed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fields::{FieldChange, changed};
use super::{Action, Change, Object, Observed, ObservedMount, Plan, Write, kubernetes};
use crate::desired::{Desired, DesiredMount, DesiredPolicy, DesiredRole, MARK};
use crate::error::{Error, Result};
use crate::keys::{PublicKey, VerificationKey};
use crate::policy::{Policy, same_meaning};
use crate::vault::{ConfigDocument, JwtConfig, RoleDocument};

/// Says what has to change.
///
/// # Errors
/// When a path that is needed is taken by something else.
pub fn plan(address: &str, desired: &Desired, observed: &Observed) -> Result<Plan> {
    let (mut changes, mut notices) = (Vec::new(), Vec::new());
    let mut objects = 0;
    for mount in &desired.mounts {
        objects += 2 + mount.roles.len();
        let there = observed.mounts.get(&mount.path);
        changes.extend(mount_change(mount, observed)?);
        if let (ConfigDocument::Kubernetes(config), Some(reviewer)) = (&mount.config, &mount.reviewer) {
            let planned = kubernetes::plan(address, mount, reviewer, config, observed)?;
            // The configuration is counted above.
            objects += planned.objects - 1;
            changes.extend(planned.changes);
            notices.extend(planned.notices);
        } else {
            changes.extend(config_change(mount, there));
        }
        changes.extend(mount.roles.iter().filter_map(|role| role_change(mount, role, there)));
    }
    objects += desired.policies.len();
    changes.extend(desired.policies.iter().filter_map(|policy| policy_change(policy, observed)));
    // A stable sort: within a stage the order of the file remains.
    changes.sort_by_key(Change::stage);
    let unchanged = objects - changes.len();
    let mut plan = Plan { address: address.to_owned(), changes, unchanged, notices };
    keep_needs_of_this_plan(&mut plan);
    Ok(plan)
}

/// What is in order already needs no waiting for.
fn keep_needs_of_this_plan(plan: &mut Plan) {
    let planned: BTreeSet<Object> = plan.changes.iter().map(|change| change.object.clone()).collect();
    for change in &mut plan.changes {
        change.needs.retain(|object| planned.contains(object));
    }
}

fn mount_change(mount: &DesiredMount, observed: &Observed) -> Result<Option<Change>> {
    let path = mount.path.as_str();
    let wanted = mount.description.as_deref();
    let (action, before, write) = if let Some(there) = observed.auth_mounts.get(path) {
        if there.kind != mount.method.as_str() {
            return Err(Error::failed(format!(
                "auth/{path}/ is already there as a mount of type {}, and cluster {} needs one of type {}",
                there.kind, mount.cluster, mount.method
            ))
            .remedy("give the cluster another `mount:`")
            .remedy(format!("or, if nothing uses it any more: `vault auth disable {path}`")));
        }
        let Some(wanted) = wanted.filter(|wanted| *wanted != there.description) else { return Ok(None) };
        let write = Write::DescribeMount { mount: mount.path.clone(), description: wanted.to_owned() };
        (Action::Update, Some(there.description.as_str()), write)
    } else {
        if let Some(taken) = observed.auth_mounts.keys().find(|there| overlaps(there, path)) {
            return Err(Error::failed(format!("auth/{path}/ can't be made beside the mount auth/{taken}/"))
                .remedy("one mount's path can't begin with another's: give the cluster another `mount:`"));
        }
        let write = Write::EnableMount {
            mount: mount.path.clone(),
            method: mount.method,
            description: wanted.unwrap_or_default().to_owned(),
        };
        (Action::Create, None, write)
    };
    let mut fields = Vec::new();
    if action == Action::Create {
        fields.push(FieldChange { field: "type".to_owned(), before: None, after: mount.method.as_str().into() });
    }
    if let Some(wanted) = wanted {
        let before = before.map(Value::from);
        fields.push(FieldChange { field: "description".to_owned(), before, after: wanted.into() });
    }
    Ok(Some(Change {
        action,
        object: Object::Mount { mount: mount.path.clone() },
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust: None,
        needs: Vec::new(),
        write,
    }))
}

/// Whether one of two mount paths lies below the other, which Vault refuses.
fn overlaps(one: &str, other: &str) -> bool {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    below(one, other) || below(other, one)
}

fn config_change(mount: &DesiredMount, there: Option<&ObservedMount>) -> Option<Change> {
    let before = there.and_then(|there| there.config.as_ref());
    let (fields, replaces_trust) = match (&mount.config, before) {
        (ConfigDocument::Jwt(after), Some(ConfigDocument::Jwt(before))) if *before != JwtConfig::default() => (
            changed(Some(&json!(described(before, mount))), &json!(described(after, mount))),
            jwt_trust_replaced(before, after),
        ),
        (ConfigDocument::Jwt(after), _) => (changed(None, &json!(described(after, mount))), None),
        (after, before) => (changed(before.map(ConfigDocument::fields).as_ref(), &after.fields()), None),
    };
    (!fields.is_empty()).then(|| Change {
        action: if fields.iter().all(|field| field.before.is_none()) { Action::Create } else { Action::Update },
        object: Object::Config { mount: mount.path.clone() },
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust,
        needs: vec![Object::Mount { mount: mount.path.clone() }],
        write: Write::Config { mount: mount.path.clone(), config: mount.config.clone() },
    })
}

/// The configuration with its keys as a person tells them apart, so that text around a PEM block, or another encoding of
/// it, is no difference.
fn described(config: &JwtConfig, mount: &DesiredMount) -> JwtConfig {
    let keys = config.jwt_validation_pubkeys.iter().map(|pem| describe_key(pem, &mount.keys));
    JwtConfig { jwt_validation_pubkeys: keys.collect(), ..config.clone() }.normalised()
}

/// A key as a person tells it from others: its kind, its fingerprint, and the `kid` that the cluster gives it.
fn describe_key(pem: &str, known: &[VerificationKey]) -> String {
    let Ok(key) = PublicKey::parse_pem(pem) else { return pem.to_owned() };
    let kid = known.iter().find(|known| known.key == key).and_then(|known| known.kid.as_deref());
    match kid {
        Some(kid) => format!("{key} {} kid {kid}", key.short_fingerprint()),
        None => format!("{key} {}", key.short_fingerprint()),
    }
}

/// What the mount trusts now and would not any more, if that is more than a rotation of keys.
fn jwt_trust_replaced(before: &JwtConfig, after: &JwtConfig) -> Option<String> {
    if before.bound_issuer != after.bound_issuer && !before.bound_issuer.is_empty() {
        return Some(format!(
            "it trusts the issuer {:?} now, and would trust {:?}",
            before.bound_issuer, after.bound_issuer
        ));
    }
    for (what, url) in [("jwks_url", &before.jwks_url), ("oidc_discovery_url", &before.oidc_discovery_url)] {
        if !url.is_empty() {
            return Some(format!("it takes its keys from {what} {url} now, and would have pinned ones"));
        }
    }
    let keys = |config: &JwtConfig| -> BTreeSet<String> {
        let pems = config.jwt_validation_pubkeys.iter();
        pems.map(|pem| PublicKey::parse_pem(pem).map_or_else(|_| pem.clone(), |key| key.fingerprint())).collect()
    };
    let (before, after) = (keys(before), keys(after));
    (!before.is_empty() && before.is_disjoint(&after)).then(|| {
        format!("none of the {} keys that it trusts now is among the {} of this cluster", before.len(), after.len())
    })
}

fn policy_change(desired: &DesiredPolicy, observed: &Observed) -> Option<Change> {
    let before = observed.policies.get(&desired.name);
    // A policy that can't be understood is replaced, and the plan shows its text.
    if before.is_some_and(|text| Policy::parse(text).is_ok_and(|there| same_meaning(&there, &desired.policy))) {
        return None;
    }
    let text = desired.policy.print(&[MARK]);
    let after = Value::from(text.clone());
    let fields = vec![FieldChange { field: "policy".to_owned(), before: before.cloned().map(Value::from), after }];
    Some(Change {
        action: if before.is_none() { Action::Create } else { Action::Update },
        object: Object::Policy { name: desired.name.clone() },
        cluster: None,
        fields,
        replaces_trust: None,
        needs: Vec::new(),
        write: Write::Policy { name: desired.name.clone(), text },
    })
}

fn role_change(mount: &DesiredMount, desired: &DesiredRole, there: Option<&ObservedMount>) -> Option<Change> {
    let before = there.and_then(|there| there.roles.get(&desired.name));
    let fields = changed(before.map(RoleDocument::fields).as_ref(), &desired.document.fields());
    if fields.is_empty() {
        return None;
    }
    let mut needs = vec![Object::Mount { mount: mount.path.clone() }, Object::Config { mount: mount.path.clone() }];
    // Names of policies in a desired role come from the configuration, where they were parsed.
    needs.extend(
        desired
            .document
            .token()
            .token_policies
            .iter()
            .filter_map(|name| Some(Object::Policy { name: name.parse().ok()? })),
    );
    Some(Change {
        action: if before.is_none() { Action::Create } else { Action::Update },
        object: Object::Role { mount: mount.path.clone(), name: desired.name.clone() },
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust: None,
        needs,
        write: Write::Role {
            mount: mount.path.clone(),
            name: desired.name.clone(),
            role: Box::new(desired.document.clone()),
        },
    })
}
