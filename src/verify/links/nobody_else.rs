//! Whom the role takes beside those that are meant.

use serde_json::json;

use crate::claims::Tie;
use crate::model::{JwtRole, KubernetesRole, RoleDocument};
use crate::names::{NamespaceSelector, ServiceAccountRef};
use crate::verify::binding::{takes, values};
use crate::verify::catalogue::NOBODY_ELSE;
use crate::verify::facts::{Known, some};
use crate::verify::finding::{Finding, Remedy};
use crate::verify::links::by_file;
use crate::verify::links::role::{presented_audience, set, set_whole, unread};
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The check of whom the role takes.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(NOBODY_ELSE, nobody_else)];

/// Whether the role takes more than was meant.
fn nobody_else(scene: &RoleScene) -> Known<Finding> {
    let Some(document) = scene.held()? else { return Ok(unread()) };
    let extra = match document {
        RoleDocument::Jwt(role) => taken_by_jwt(scene, document, role),
        RoleDocument::Kubernetes(role) => taken_by_kubernetes(scene, role),
    };
    if extra.is_empty() {
        return Ok(crossed(scene, document)?.unwrap_or_else(|| as_far_as_meant(scene, document)));
    }
    let finding = Finding::failed(format!("the role takes more than was meant: {}", extra.join("; ")))
        .why("whoever gets such a token reads what was meant for somebody else");
    Ok(match by_file::role(scene, "whom the role takes")? {
        Some(_) if in_the_file(scene, document) => finding.to_do(format!(
            "let the role in the file name its accounts (`serviceAccounts`), or bind a claim that only theirs have, or say there that all \
             of those are meant (`allowGlobs: true`); {}",
            scene.mount.source.then_bootstrap()
        )),
        Some(remedy) => finding.mend([remedy]),
        None => finding
            .to_do("give each account that is meant a role of its own, let its consumer name that, and then delete this one")
            .mend(narrowed(scene, document)?),
    })
}

/// Whether the file says of the role what Vault holds of whom it takes.
fn in_the_file(scene: &RoleScene, document: &RoleDocument) -> bool {
    let held = Tie::held(document);
    held != Tie::Named && scene.expected.as_ref().is_some_and(|role| role.tie() == held)
}

/// Without a file nobody says whether all pairs of a role's names and namespaces are meant: a file may well have made it so.
fn crossed(scene: &RoleScene, document: &RoleDocument) -> Known<Option<Finding>> {
    let RoleDocument::Kubernetes(role) = document else { return Ok(None) };
    let (names, namespaces) = (&role.bound_service_account_names, &role.bound_service_account_namespaces);
    if scene.expected.is_some() || names.len() < 2 || namespaces.len() < 2 {
        return Ok(None);
    }
    let each = format!("the role takes each of {} in each of {}", names.join(", "), namespaces.join(", "));
    let finding = Finding::warning(each)
        .why("Vault pairs every name of a kubernetes role with every namespace, whether or not all of the pairs are meant")
        .to_do("where some are not, give those that are meant roles of their own");
    Ok(Some(finding.mend(narrowed(scene, document)?)))
}

/// Of a role that takes no more than was meant: whom, where that is more than accounts that it names.
fn as_far_as_meant(scene: &RoleScene, document: &RoleDocument) -> Finding {
    match Tie::held(document) {
        Tie::Named => Finding::passed("nothing in it takes anybody else"),
        Tie::Loose { whom, .. } if scene.expected.is_some() => {
            Finding::passed(format!("it takes {whom}, as the file says"))
        }
        Tie::Loose { whom, .. } => Finding::warning(format!("the role is tied to no single account: it takes {whom}"))
            .why("whoever may make a service account there, or a pod of one, can log in with it")
            .to_do("give each account that is meant a role of its own, where they are known"),
    }
}

/// The command that binds the role to what it names in full, and to who logs in: whoever else has logged in with it is refused
/// from then on.
fn narrowed(scene: &RoleScene, document: &RoleDocument) -> Known<Option<Remedy>> {
    // Who isn't taken is not let in by a command that narrows.
    let account = some!(scene.account.as_ref().filter(|account| takes(document, &account.subject()).is_ok()));
    let command = match document {
        RoleDocument::Jwt(role) => {
            let mut claims = role.bound_claims.clone();
            claims.insert("sub".to_owned(), in_full(&values(claims.get("sub")), &account.subject()).into());
            let fields =
                [("bound_claims_type".to_owned(), "string".into()), ("bound_claims".to_owned(), json!(claims))];
            set_whole(scene, document, fields.into_iter().collect())
        }
        RoleDocument::Kubernetes(role) => {
            let mut names = in_full(&role.bound_service_account_names, &account.name);
            let mut namespaces = in_full(&role.bound_service_account_namespaces, &account.namespace);
            if names.len() > 1 && namespaces.len() > 1 {
                (names, namespaces) = (vec![account.name.clone()], vec![account.namespace.clone()]);
            }
            let bound = [&role.bound_service_account_names, &role.bound_service_account_namespaces];
            let by_pattern = bound.iter().any(|bound| bound.iter().any(|name| name.contains('*')));
            let crossed = bound.iter().all(|bound| bound.len() > 1);
            let (names, namespaces) = (names.join(","), namespaces.join(","));
            let mut fields = Vec::new();
            if by_pattern || crossed {
                fields.extend([
                    ("bound_service_account_names", names.as_str()),
                    ("bound_service_account_namespaces", namespaces.as_str()),
                ]);
            }
            if role.audience.is_empty() {
                fields.push(("audience", some!(presented_audience(scene)?)));
            }
            some!(set(scene, &fields)?.command)
        }
    };
    let text = format!(
        "or, once nobody else is seen to log in with it, bind it to {account} and to what it names in full alone"
    );
    Ok(Some(Remedy { text, command: Some(command) }))
}

/// The names that are no patterns, this one among them.
fn in_full(bound: &[String], own: &str) -> Vec<String> {
    let full = bound.iter().filter(|name| !name.contains('*') && *name != own).cloned();
    std::iter::once(own.to_owned()).chain(full).collect()
}

fn taken_by_jwt(scene: &RoleScene, document: &RoleDocument, role: &JwtRole) -> Vec<String> {
    let mut extra = Vec::new();
    let by_claims = role.bound_claims.keys().any(|claim| claim != "sub");
    let subjects = values(role.bound_claims.get("sub"));
    let tie = Tie::held(document);
    let patterns: Vec<&String> = subjects.iter().filter(|subject| subject.contains('*')).collect();
    let unasked =
        role.bound_claims_type == "glob" && !by_claims && scene.expected.as_ref().is_none_or(|role| !role.allow_globs);
    if let Tie::Loose { whom, anywhere } = &tie {
        let meant = match &scene.expected {
            // That is told below.
            _ if unasked && !patterns.is_empty() => true,
            Some(expected) => expected.tie() == tie && (!anywhere || expected.allow_globs),
            None => !anywhere,
        };
        if !meant {
            extra.push(whom.clone());
        }
    }
    if let Some(expected) = &scene.expected {
        let meant: Vec<String> = expected.service_accounts.iter().map(ServiceAccountRef::subject).collect();
        if !expected.allow_globs && expected.bound_claims.is_empty() {
            extra.extend(beside(&meant, subjects.iter().cloned()));
        }
    }
    if unasked {
        extra.extend(patterns.into_iter().map(|subject| format!("whoever matches {subject}")));
    }
    extra.dedup();
    extra
}

fn taken_by_kubernetes(scene: &RoleScene, role: &KubernetesRole) -> Vec<String> {
    let mut extra = Vec::new();
    let globs = scene.expected.as_ref().is_some_and(|role| role.allow_globs);
    let any_audience = scene.expected.as_ref().is_some_and(|role| role.audiences.is_empty());
    let (names, namespaces) = (&role.bound_service_account_names, &role.bound_service_account_namespaces);
    if !globs {
        for pattern in names.iter().chain(namespaces).filter(|pattern| pattern.contains('*')) {
            extra.push(format!("whoever matches {pattern:?}"));
        }
    }
    let meant = scene.expected.as_ref().map(|role| role.labelled.as_ref());
    let held = NamespaceSelector::held(&role.bound_service_account_namespace_selector);
    match (held, meant) {
        _ if !role.selects_namespaces() => {}
        // Whoever wrote that named no label, and hardly meant all.
        (Some(held), _) if held.is_everybodys() => extra.push(format!(
            "every namespace, because its selector names no label: {:?}",
            role.bound_service_account_namespace_selector
        )),
        (Some(held), Some(Some(meant))) if meant.selector.covers(&held) => {
            // Each name counts in whichever namespace is selected. A pattern that wasn't meant is told above.
            let others = names.iter().filter(|name| !name.contains('*') && !meant.has_name(name));
            extra.extend(others.map(|name| format!("{name} in namespaces with the labels {held}")));
        }
        (Some(held), Some(_)) => extra.push(format!("namespaces with the labels {held}")),
        (None, Some(_)) => {
            extra.push(format!("namespaces with the labels {}", role.bound_service_account_namespace_selector));
        }
        // Without a file nothing says that they weren't meant.
        (_, None) => {}
    }
    if role.audience.is_empty() && !any_audience {
        extra.push("tokens that were meant for somebody else, because it names no audience".to_owned());
    }
    let meant: Vec<String> = match &scene.expected {
        Some(role) => role.service_accounts.iter().map(ToString::to_string).collect(),
        None => return extra,
    };
    if !globs {
        let product =
            namespaces.iter().flat_map(|namespace| names.iter().map(move |name| format!("{namespace}/{name}")));
        let product = product.filter(|account| !account.contains('*'));
        // Those that are let in by labels are in no namespace that the role names.
        if scene.expected.as_ref().is_some_and(|role| role.labelled.is_some()) {
            extra.extend(product.filter(|account| !meant.contains(account)));
        } else {
            extra.extend(beside(&meant, product));
        }
    }
    extra
}

/// Whom a role takes beside those that are meant. A role that takes none of those is bound to somebody else altogether,
/// which is one fault, and [`BOUND_ACCOUNT`](crate::verify::catalogue::BOUND_ACCOUNT)'s to tell.
fn beside(meant: &[String], taken: impl Iterator<Item = String>) -> Vec<String> {
    let (meant, others): (Vec<String>, Vec<String>) = taken.partition(|taken| meant.contains(taken));
    if meant.is_empty() { Vec::new() } else { others }
}
