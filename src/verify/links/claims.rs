//! The role against the token: does it take these claims?

use serde_json::{Value, json};

use crate::cluster::TokenClaims;
use crate::model::{JwtRole, RoleDocument};
use crate::names::Audience;
use crate::verify::binding::{bound_subjects, matches, parts, takes, values};
use crate::verify::catalogue::{AUDIENCE, BOUND_ACCOUNT, BOUND_CLAIMS};
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, Remedy, list, plural};
use crate::verify::links::by_file;
use crate::verify::links::login::only_a_pod_can;
use crate::verify::links::namespaces::selected;
use crate::verify::links::role::{set, set_whole, unread};
use crate::verify::scene::{RoleScene, Source};
use crate::verify::walk::{Row, row};

/// The checks of the role against the token.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] =
    &[row!(AUDIENCE, audience), row!(BOUND_ACCOUNT, bound_account), row!(BOUND_CLAIMS, bound_claims)];

/// The audiences of the token against the role's.
fn audience(scene: &RoleScene) -> Known<Finding> {
    let Ok(token) = scene.token()? else { return Ok(Finding::unseen("there is no token to compare with")) };
    let has = &token.claims.audiences.0;
    let Some(role) = scene.held()? else { return Ok(unread()) };
    let mut wants = role.audiences();
    if wants.is_empty() && matches!(role, RoleDocument::Kubernetes(_)) {
        return Ok(Finding::passed("the role asks for none"));
    }
    if has.is_empty() && wants.is_empty() {
        return Ok(Finding::passed("neither the role nor the token names one"));
    }
    if has.iter().any(|has| wants.contains(has)) {
        return Ok(Finding::passed(format!("{:?}", wants.join(", "))));
    }
    let why = if wants.is_empty() {
        "`audience claim found in JWT but no audiences bound to the role`"
    } else {
        "`invalid audience (aud) claim: audience claim does not match any expected audience`"
    };
    // No token is for an audience without a name.
    wants.retain(|audience| !audience.is_empty());
    let detail = if wants.is_empty() {
        "the role names no audience, and so refuses every token that has one"
    } else if has.is_empty() {
        "the token has no audience, and the role wants one"
    } else {
        "the token is for another audience than the role takes"
    };
    let finding = Finding::failed(detail)
        .with("the token's aud", list(has.iter().map(String::as_str)))
        .with("the role wants", list(wants.iter().map(String::as_str)))
        .why(why);
    mend_audience(scene, finding, has, &wants)
}

fn mend_audience(scene: &RoleScene, finding: Finding, has: &[String], wants: &[String]) -> Known<Finding> {
    let expected: Vec<&str> = scene.expected.iter().flat_map(|role| &role.audiences).map(Audience::as_str).collect();
    Ok(match (&scene.mount.source, expected.as_slice()) {
        // The file agrees with the token: Vault has drifted.
        (Source::File { .. } | Source::Bootstrap, [_, ..]) if has.iter().any(|has| expected.contains(&has.as_str())) => {
            finding.mend(by_file::role(scene, "`audience` of the role")?)
        }
        (Source::File { .. } | Source::Bootstrap, [expected, ..]) => finding.to_do(format!(
            "let `tokenAudiences` of the role in the file contain {expected}, and the consumer ask for it; or let `audience` be one of {}",
            list(has.iter().map(String::as_str))
        )),
        (Source::File { .. } | Source::Bootstrap, []) => finding.mend(by_file::role(scene, "`audience` of the role")?),
        (Source::Flags { .. }, _) => {
            // Without a file, a slip of the pen is likelier than a role that takes the wrong audience.
            let finding = match (wants.first(), has.is_empty()) {
                (None, _) => finding,
                (Some(wanted), true) => finding.to_do(format!(
                    "take a token by TokenRequest for {wanted} (a projected volume has one): one that stands in a \
                     Secret has no audience, and can't ask for one"
                )),
                (Some(wanted), false) => finding.to_do(format!(
                    "let the consumer ask for {wanted}: --audience, the store's `audiences`"
                )),
            };
            let Some(audience) = has.first() else { return Ok(finding) };
            let (field, value, text) = if scene.held()?.is_some_and(|role| role.jwt().is_some()) {
                let all = wants.iter().chain([audience]).map(String::as_str).collect::<Vec<_>>().join(",");
                ("bound_audiences", all, "let the role take this audience as well")
            } else {
                ("audience", audience.clone(), "let the role take this audience in place of its own, if no consumer needs that")
            };
            let text = if wants.is_empty() { text.to_owned() } else { format!("or {text}") };
            finding.mend([Remedy { text, ..set(scene, &[(field, &value)])? }])
        }
    })
}

/// Who the role takes, against who logs in.
fn bound_account(scene: &RoleScene) -> Known<Finding> {
    let Ok(token) = scene.token()? else { return Ok(Finding::unseen("there is no token to compare with")) };
    let subject = &token.claims.subject;
    let Some(document) = scene.held()? else { return Ok(unread()) };
    let finding = match (takes(document, subject), document) {
        (Ok(()), RoleDocument::Kubernetes(role)) => match selected(scene, role, subject)? {
            Ok(passed) => return Ok(passed),
            Err(finding) => finding,
        },
        (Ok(()), RoleDocument::Jwt(_)) => return Ok(Finding::passed(subject.clone())),
        (Err(words), _) => Finding::failed("the role is bound to another service account than the one that logs in")
            .with("the token's sub", subject.clone())
            .why(format!("`{words}`")),
    };
    let finding = match document {
        RoleDocument::Jwt(role) if !role.bound_subject.is_empty() && role.bound_claims.contains_key("sub") => {
            finding.with("the role's bound_subject", role.bound_subject.clone()).with(
                "the sub of its bound_claims, which has to hold as well",
                values(role.bound_claims.get("sub")).join(", "),
            )
        }
        RoleDocument::Jwt(role) => finding.with("the role takes", bound_subjects(role).join(", ")),
        RoleDocument::Kubernetes(role) => finding.with(
            "the role takes",
            format!(
                "{} in {}",
                role.bound_service_account_names.join(", "),
                list(role.bound_service_account_namespaces.iter().map(String::as_str))
            ),
        ),
    };
    if scene.expected.is_some() {
        return Ok(finding.mend(by_file::role(scene, "`serviceAccounts` of the role")?));
    }
    // Without a file, a slip of the pen is likelier than a role that is bound to the wrong account.
    let finding = finding.to_do("log in as an account that the role takes (--service-account)");
    let remedy = if let RoleDocument::Jwt(role) = document {
        let mut claims = role.bound_claims.clone();
        let accepted = bound_subjects(role);
        let text = match accepted.as_slice() {
            [] => "or let the role take this account: as it is, it takes nobody",
            _ => "or let the role take this account as well",
        };
        let subjects: Vec<String> = accepted.into_iter().chain([subject.clone()]).collect();
        claims.insert("sub".to_owned(), Value::from(subjects));
        let fields = [("bound_subject".to_owned(), "".into()), ("bound_claims".to_owned(), json!(claims))];
        Remedy { text: text.to_owned(), command: Some(set_whole(scene, document, fields.into_iter().collect())) }
    } else {
        let RoleDocument::Kubernetes(role) = document else { return Ok(finding) };
        let (namespace, name) = parts(subject).unwrap_or(("NAMESPACE", "NAME"));
        let (names, namespaces) =
            (with(&role.bound_service_account_names, name), with(&role.bound_service_account_namespaces, namespace));
        if names.contains(',') && namespaces.contains(',') {
            return Ok(finding.to_do(
                "or make a role of its own for this account: this one would take each of its names in each of its namespaces",
            ));
        }
        let fields = [("bound_service_account_names", &*names), ("bound_service_account_namespaces", &*namespaces)];
        Remedy { text: "or let the role take this account as well".to_owned(), ..set(scene, &fields)? }
    };
    Ok(finding.mend([remedy]))
}

/// A list of names with another, as the server takes it.
fn with(names: &[String], name: &str) -> String {
    let other = names.iter().all(|listed| listed != name).then_some(name);
    names.iter().map(String::as_str).chain(other).collect::<Vec<_>>().join(",")
}

/// A claim of a token, by its name or by a pointer to it.
fn claim(claims: &TokenClaims, name: &str) -> Option<Value> {
    serde_json::from_str(&claims.value(name)?).ok()
}

/// Whether nothing says that a claim, which only tokens of pods have, isn't wanted: a file that says otherwise does.
fn is_meant_for_pods(scene: &RoleScene, role: &JwtRole, claim: &str) -> bool {
    let Some(expected) = &scene.expected else { return true };
    if expected.user_claim != role.user_claim {
        return false;
    }
    let same = |bound: &Value| expected.bound_claims.get(claim).is_some_and(|meant| *meant == values(Some(bound)));
    role.bound_claims.get(claim).is_none_or(same)
}

/// What is wrong with the claim that names the identity: a pointer is taken for one only where the role says so.
fn without_identity(scene: &RoleScene, role: &JwtRole, claims: &TokenClaims) -> Known<Option<Finding>> {
    let name = &role.user_claim;
    let (detail, words, field) = match claim(claims, name) {
        None => (
            format!("the token has no claim {name}, which names the identity"),
            "not found in token",
            ("user_claim", "sub"),
        ),
        Some(has) if !has.is_string() => (
            format!("the claim {name}, which names the identity, is no text: {has}"),
            "could not be converted to string",
            ("user_claim", "sub"),
        ),
        Some(_) if name.starts_with('/') && !role.user_claim_json_pointer => (
            format!("the role takes {name} for the name of a claim, and not for a pointer to one"),
            "not found in token",
            ("user_claim_json_pointer", "true"),
        ),
        Some(_) => return Ok(None),
    };
    let finding = Finding::failed(detail)
        .with("the role's user_claim", name.clone())
        .with("its user_claim_json_pointer", role.user_claim_json_pointer.to_string())
        .why(format!("`claim \"{name}\" {words}`"))
        .mend([set(scene, &[field])?]);
    Ok(Some(finding))
}

/// What is wrong with the claim that names groups, which may always be a pointer.
fn without_groups(scene: &RoleScene, role: &JwtRole, claims: &TokenClaims) -> Known<Option<Finding>> {
    let name = &role.groups_claim;
    if name.is_empty() || claim(claims, name).is_some() {
        return Ok(None);
    }
    let finding = Finding::failed(format!("the token has no claim {name}, which names its groups"))
        .with("the role's groups_claim", name.clone())
        .why(format!("`\"{name}\" claim not found in token`; tokens of service accounts name no groups"))
        .mend([set(scene, &[("groups_claim", "")])?]);
    Ok(Some(finding))
}

fn bound_claims(scene: &RoleScene) -> Known<Finding> {
    let Ok(token) = scene.token()? else { return Ok(Finding::unseen("there is no token to compare with")) };
    let Some(document) = scene.held()? else { return Ok(unread()) };
    let RoleDocument::Jwt(role) = document else { return Ok(Finding::passed("roles of this method bind none")) };
    let of_a_pod = scene.wants_a_pod()?;
    if let Some(finding) = without_identity(scene, role, &token.claims)?
        && !(is_meant_for_pods(scene, role, &role.user_claim) && of_a_pod.contains(&role.user_claim))
    {
        return Ok(finding);
    }
    if let Some(finding) = without_groups(scene, role, &token.claims)? {
        return Ok(finding);
    }
    let (mut faults, mut mended) = (Vec::new(), role.bound_claims.clone());
    for (claim, bound) in role.bound_claims.iter().filter(|(claim, _)| *claim != "sub") {
        let has = token.claims.value(claim);
        let plain = has.as_deref().map(|has| serde_json::from_str::<Value>(has).unwrap_or_default());
        let has_values = values(plain.as_ref());
        let mut bound = values(Some(bound));
        if has_values.iter().any(|has| bound.iter().any(|bound| matches(role, bound, has))) {
            continue;
        }
        if of_a_pod.contains(claim) && is_meant_for_pods(scene, role, claim) {
            continue;
        }
        let words = if has.is_none() { "is missing" } else { "does not match any associated bound claim values" };
        let fault = Finding::failed(format!("the role wants another {claim}"))
            .with(format!("the token's {claim}"), has.unwrap_or_else(|| "none".to_owned()))
            .with(format!("the {claim} that the role wants"), bound.join(", "))
            .why(format!("`error validating claims: claim \"{claim}\" {words}`"));
        faults.push(fault);
        if has_values.is_empty() {
            mended.remove(claim);
        } else {
            bound.extend(has_values);
            mended.insert(claim.clone(), bound.into());
        }
    }
    let Some(finding) = Finding::all(faults) else {
        if !of_a_pod.is_empty() {
            return Ok(Finding::skipped(only_a_pod_can(&of_a_pod)));
        }
        return Ok(Finding::passed(match role.bound_claims.keys().filter(|claim| *claim != "sub").count() {
            0 => "it wants no others".to_owned(),
            count => plural(count, "claim"),
        }));
    };
    if let Some(remedy) = by_file::role(scene, "`boundClaims` of the role")? {
        return Ok(finding.mend([remedy]).to_do("or correct `boundClaims` of the role in the file"));
    }
    let finding = finding.to_do("log in with a token that has what the role wants, or as another role (--role)");
    let subjects = values(mended.get("sub"));
    let by_pattern = role.bound_claims_type == "glob" && subjects.iter().any(|subject| subject.contains('*'));
    if role.bound_subject.is_empty() && (subjects.is_empty() || by_pattern) {
        // Nothing else would say who may log in.
        return Ok(finding.to_do(format!("or correct `bound_claims` of auth/{}/role/{}", scene.mount.path, scene.name)));
    }
    let fields = [("bound_claims".to_owned(), json!(mended))].into_iter().collect();
    Ok(finding.run(
        "or let the role take what the token has; it stays bound to its service accounts",
        set_whole(scene, document, fields),
    ))
}
