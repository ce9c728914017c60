//! What the login's token may do, as the server says.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::policy::{Acl, Policy, Verdict};
use crate::vault::CapabilitiesByPath;
use crate::verify::capabilities::{Surplus, ask, differences, granted};
use crate::verify::catalogue::{GRANTED, NOTHING_ELSE, POLICIES_EXIST};
use crate::verify::finding::{Finding, list};
use crate::verify::links::ascent::ladder;
use crate::verify::links::needs::{Need, needs};
use crate::verify::links::policies::{default, drifted, missing, policies};
use crate::verify::probes::{DefaultPolicy, Probes, probes};
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The checks of what the server grants.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(GRANTED, may), row!(NOTHING_ELSE, nothing_else)];

/// What the login is meant to have: the file's policies, else the role's own as they are in Vault. `default` is compared as what it is,
/// whether the role names it or not.
pub(super) async fn meant(scene: &RoleScene) -> Option<Vec<Policy>> {
    if scene.expected.is_some() {
        return Some(scene.policies.iter().map(|policy| policy.policy.clone()).collect());
    }
    let own = policies(scene).await?.into_iter().filter(|(name, _)| name != "default");
    Some(own.map(|(_, policy)| policy).collect())
}

/// What should be granted, and what not: by the file's policies, else by the role's own as they are in Vault.
async fn probed(scene: &RoleScene) -> Option<Probes> {
    let own = meant(scene).await?;
    let without_default = match &scene.expected {
        Some(role) => role.token.no_default_policy,
        None => matches!(scene.held().await, Some(document) if document.token().token_no_default_policy),
    };
    let default = scene.mount.vault.policy("default").await;
    let default = match &default {
        _ if without_default => DefaultPolicy::Absent,
        Some(policy) => DefaultPolicy::Known(policy),
        None => DefaultPolicy::Unknown,
    };
    Some(probes(&own.iter().collect::<Vec<_>>(), default, &scene.kv, &scene.mount.path))
}

/// What the login may do, as the server says, on every path that a check looks at; `None` where nobody logged in.
pub(super) async fn capabilities(scene: &RoleScene) -> Option<&Result<CapabilitiesByPath, Error>> {
    let (login, client) = scene.logged_in().await?;
    let fetch = async || {
        let mut paths: BTreeSet<String> =
            ["auth/token/lookup-self", "auth/token/revoke-self"].map(str::to_owned).into();
        paths.extend(probed(scene).await.into_iter().flat_map(|probes| probes.expected.into_keys()));
        paths.extend(needs(scene).await.into_iter().map(|need| need.api));
        paths.extend(ladder(scene).await.paths().map(str::to_owned));
        let paths: Vec<String> = paths.into_iter().collect();
        ask(&scene.mount.vault.client, &client, login, &paths).await
    };
    Some(scene.capabilities.get_or_init(fetch).await)
}

/// What the login may do, where somebody has logged in already: a look at policies alone logs nobody in.
pub(super) async fn asked(scene: &RoleScene) -> Option<&Result<CapabilitiesByPath, Error>> {
    scene.login.get()?;
    capabilities(scene).await
}

/// Whether the server grants something.
pub(super) fn grants(actual: &CapabilitiesByPath, need: &Need) -> bool {
    let name = need.capability.to_string();
    actual.get(&need.api).is_some_and(|has| has.iter().any(|has| *has == name || has == "root"))
}

async fn may(scene: &RoleScene) -> Finding {
    let actual = match capabilities(scene).await {
        None => return Finding::skipped("nobody logged in"),
        Some(Err(error)) => return Finding::unseen_because(error),
        Some(Ok(actual)) => actual,
    };
    let needs = needs(scene).await;
    let mut missing: Vec<String> = needs.iter().filter(|need| !grants(actual, need)).map(ToString::to_string).collect();
    let probes = probed(scene).await;
    if let Some(probes) = &probes {
        missing.extend(differences(probes, actual).missing);
    }
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        let drifted = drifted(scene).await;
        return Finding::failed(format!("the login may not {}", missing.join("; it may not ")))
            .why("this is the server's own answer (sys/capabilities), for this very token")
            .mend(scene.mount.source.bootstrap().filter(|_| drifted))
            .to_do("look at the policies of the role and of its identity: `vault policy read NAME`");
    }
    let Some(probes) = probes else {
        return Finding::passed(if needs.is_empty() {
            "nothing was named".to_owned()
        } else {
            format!("{} granted", needs.len())
        });
    };
    if !probes.unforeseen.is_empty() {
        return Finding::warning(format!(
            "what {} allows can't be foretold, and was not tried",
            probes.unforeseen.join(", ")
        ))
        .to_do("try a path of a template by hand: only the server knows the identity that fills it in");
    }
    Finding::passed(granted(&probes.rules))
}

async fn nothing_else(scene: &RoleScene) -> Finding {
    let actual = match capabilities(scene).await {
        None => return Finding::skipped("nobody logged in"),
        Some(Err(error)) => return Finding::unseen_because(error),
        Some(Ok(actual)) => actual,
    };
    let Some(probes) = probed(scene).await else {
        let missing = missing(scene).await;
        if !missing.is_empty() {
            return Finding::not_reached(format!(
                "{} has to hold first: {} doesn't exist",
                POLICIES_EXIST.id,
                missing.join(", ")
            ));
        }
        return Finding::unseen(
            "the role's policies can't be read with this token, so it isn't known what would be too much",
        );
    };
    let difference = differences(&probes, actual);
    if difference.extra.is_empty() {
        return Finding::passed(format!("refused on {} paths beside it", difference.refused));
    }
    let extra: Vec<String> = difference.extra.iter().map(ToString::to_string).collect();
    let granting = granting(scene, &difference.extra).await;
    let finding = Finding::failed(format!("the login may also {}", extra.join("; it may also ")))
        .with("of the policies that can be read, it is granted by", list(granting.iter().map(String::as_str)))
        .why("what it may do beside its own secrets is what whoever steals its token may do");
    let drifted = drifted(scene).await;
    let finding = finding.mend(scene.mount.source.bootstrap().filter(|_| drifted));
    if granting.iter().any(|name| name == "default") {
        return finding.to_do("take the rule that grants it out of Vault's policy `default`, which every login has: `vault policy read default` shows it");
    }
    finding.to_do("look for what grants it: a policy of its identity, or a wider rule (`vault policy read NAME`)")
}

/// Those of the role's policies, and `default`, that grant something of what is too much, as far as they can be read: the
/// policies of an identity are not looked at.
async fn granting(scene: &RoleScene, extra: &[Surplus]) -> Vec<String> {
    let mut all = policies(scene).await.unwrap_or_default();
    if all.iter().all(|(name, _)| name != "default") {
        all.extend(default(scene).await.map(|policy| ("default".to_owned(), policy)));
    }
    all.retain(|(_, policy)| {
        let acl = Acl::new([policy]);
        extra.iter().any(|Surplus { path, capabilities }| match acl.capabilities(path) {
            Verdict::Known(has) => has.iter().any(|has| capabilities.contains(has.as_str())),
            Verdict::Unknown => false,
        })
    });
    all.into_iter().map(|(name, _)| name).collect()
}
