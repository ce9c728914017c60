//! The role against the token: does it take these claims?

use serde_json::Value;

use crate::names::Audience;
use crate::vault::RoleDocument;
use crate::verify::binding::{bound_subjects, matches, parts, takes, values};
use crate::verify::catalogue::{AUDIENCE, BOUND_ACCOUNT, BOUND_CLAIMS};
use crate::verify::finding::{Finding, Remedy, list, quoted};
use crate::verify::links::role::{kept, set, unread};
use crate::verify::scene::{RoleScene, Source};
use crate::verify::walk::{Row, row};

/// The checks of the role against the token.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] =
    &[row!(AUDIENCE, audience), row!(BOUND_ACCOUNT, bound_account), row!(BOUND_CLAIMS, bound_claims)];

/// The audiences of the token against the role's.
async fn audience(scene: &RoleScene) -> Finding {
    let Ok(token) = scene.token().await else { return Finding::unseen("there is no token to compare with") };
    let has = &token.claims.audiences.0;
    let (wants, words): (Vec<String>, &str) = match scene.held().await {
        Some(RoleDocument::Jwt(role)) => (role.bound_audiences.clone(), "invalid audience (aud) claim"),
        Some(RoleDocument::Kubernetes(role)) if role.audience.is_empty() => {
            return Finding::passed("the role asks for none");
        }
        Some(RoleDocument::Kubernetes(role)) => (vec![role.audience.clone()], "invalid audience (aud) claim"),
        _ => return unread(),
    };
    if has.iter().any(|has| wants.contains(has)) || (has.is_empty() && wants.is_empty()) {
        return Finding::passed(format!("{:?}", wants.join(", ")));
    }
    let (detail, why) = if wants.is_empty() {
        (
            "the role names no audience, and so refuses every token that has one",
            "`audience claim found in JWT but no audiences bound to the role`".to_owned(),
        )
    } else if has.is_empty() {
        ("the token has no audience, and the role wants one", format!("`{words}`"))
    } else {
        (
            "the token is for another audience than the role takes",
            format!("`{words}: audience claim does not match any expected audience`"),
        )
    };
    let finding = Finding::failed(detail)
        .with("the token's aud", list(has.iter().map(String::as_str)))
        .with("the role wants", list(wants.iter().map(String::as_str)))
        .why(why);
    mend_audience(scene, finding, has, &wants).await
}

async fn mend_audience(scene: &RoleScene, finding: Finding, has: &[String], wants: &[String]) -> Finding {
    let expected = scene.expected.as_ref().and_then(|role| role.audience.as_ref()).map(Audience::as_str);
    let ask = |finding: Finding| match wants.first() {
        Some(wanted) => finding.to_do(format!(
            "or let the consumer ask for {wanted}: the store's `audiences`, the role's `tokenAudiences`, --audience"
        )),
        None => finding,
    };
    match (&scene.mount.source, expected) {
        // The file agrees with the token: Vault has drifted.
        (Source::File { .. } | Source::Bootstrap, Some(expected)) if has.iter().any(|has| has == expected) => {
            finding.mend(scene.mount.source.bootstrap())
        }
        (Source::File { .. } | Source::Bootstrap, Some(expected)) => finding.to_do(format!(
            "let `tokenAudiences` of the role in the file contain {expected}, and the consumer ask for it; or let `audience` be one of {}",
            list(has.iter().map(String::as_str))
        )),
        (Source::File { .. } | Source::Bootstrap, None) => finding.mend(scene.mount.source.bootstrap()),
        (Source::Flags { .. }, _) => {
            let Some(audience) = has.first() else { return ask(finding) };
            let field = if scene.held().await.is_some_and(|role| role.jwt().is_some()) { "bound_audiences" } else { "audience" };
            ask(finding.mend([set(scene, &[(field, audience)]).await]))
        }
    }
}

/// Who the role takes, against who logs in.
async fn bound_account(scene: &RoleScene) -> Finding {
    let Ok(token) = scene.token().await else { return Finding::unseen("there is no token to compare with") };
    let subject = &token.claims.subject;
    let Some(document) = scene.held().await else { return unread() };
    let Err(words) = takes(document, subject) else { return Finding::passed(subject.clone()) };
    let names = match document {
        RoleDocument::Jwt(role) => bound_subjects(role),
        RoleDocument::Kubernetes(role) => format!(
            "{} in {}",
            role.bound_service_account_names.join(", "),
            role.bound_service_account_namespaces.join(", ")
        ),
    };
    let finding = Finding::failed("the role is bound to another service account than the one that logs in")
        .with("the token's sub", subject.clone())
        .with("the role takes", names)
        .why(format!("`{words}`"));
    if scene.expected.is_some() {
        return finding.mend(scene.mount.source.bootstrap());
    }
    let remedy = if let RoleDocument::Jwt(role) = document {
        let mut claims = role.bound_claims.clone();
        claims.insert("sub".to_owned(), Value::from(subject.clone()));
        let kept = kept(document).into_iter().map(|(field, value)| (field.to_owned(), value.into()));
        let mut fields: serde_json::Map<_, _> = kept.collect();
        fields
            .extend([("bound_subject".to_owned(), "".into()), ("bound_claims".to_owned(), serde_json::json!(claims))]);
        let fields = quoted(&Value::Object(fields).to_string());
        let (mount, role) = (quoted(scene.mount.path.as_str()), quoted(scene.name.as_str()));
        Remedy {
            text: "bind the role to this account, and to no other".to_owned(),
            command: Some(format!("echo {fields} | vault write auth/{mount}/role/{role} -")),
        }
    } else {
        let (namespace, name) = parts(subject).unwrap_or(("NAMESPACE", "NAME"));
        set(scene, &[("bound_service_account_names", name), ("bound_service_account_namespaces", namespace)]).await
    };
    finding.mend([remedy]).to_do("or log in as an account that the role takes")
}

async fn bound_claims(scene: &RoleScene) -> Finding {
    let Ok(token) = scene.token().await else { return Finding::unseen("there is no token to compare with") };
    let role = match scene.held().await {
        Some(RoleDocument::Jwt(role)) => role,
        Some(RoleDocument::Kubernetes(_)) => return Finding::passed("roles of this method bind none"),
        _ => return unread(),
    };
    let user = token.claims.value(&role.user_claim);
    if user.is_none() {
        return Finding::failed(format!("the token has no claim {}, which names the identity", role.user_claim))
            .with("the role's user_claim", role.user_claim.clone())
            .why(format!("`claim \"{}\" not found in token`", role.user_claim))
            .mend([set(scene, &[("user_claim", "sub")]).await]);
    }
    for (claim, bound) in role.bound_claims.iter().filter(|(claim, _)| *claim != "sub") {
        let has = token.claims.value(claim);
        let plain = has.as_deref().map(|has| serde_json::from_str::<Value>(has).unwrap_or_default());
        let has_values = values(plain.as_ref());
        let bound = values(Some(bound));
        if has_values.iter().any(|has| bound.iter().any(|bound| matches(role, bound, has))) {
            continue;
        }
        let words = if has.is_none() { "is missing" } else { "does not match any associated bound claim values" };
        let finding = Finding::failed(format!("the role wants another {claim}"))
            .with(format!("the token's {claim}"), has.unwrap_or_else(|| "none".to_owned()))
            .with("the role wants", bound.join(", "))
            .why(format!("`error validating claims: claim \"{claim}\" {words}`"));
        return match scene.mount.source.bootstrap() {
            Some(remedy) => finding.mend([remedy]).to_do("or correct `boundClaims` of the role in the file"),
            None => finding.to_do(format!("correct `bound_claims` of auth/{}/role/{}", scene.mount.path, scene.name)),
        };
    }
    Finding::passed(match role.bound_claims.keys().filter(|claim| *claim != "sub").count() {
        0 => "it wants no others".to_owned(),
        count => super::jwt::plural(count, "claim"),
    })
}
