//! How long the login's token lives, how often it may be used, and whether it may look after itself.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::config::TokenType;
use crate::policy::{Acl, Capability};
use crate::vault::{Data, Request};
use crate::verify::catalogue::{LIFETIME, REFRESH, SELF_SERVICE, USES};
use crate::verify::finding::Finding;
use crate::verify::links::policies::adding;
use crate::verify::links::role::{set, unread};
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The checks of the token's life.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] =
    &[row!(LIFETIME, lifetime), row!(USES, uses), row!(SELF_SERVICE, self_service), row!(REFRESH, refresh)];

/// How often External Secrets uses a token beside the keys that it reads: it looks the token up, and revokes it.
const OTHER_USES: u64 = 2;

/// How often a consumer of what is named, or of what the stores' external secrets need at once, uses a token: of one key where nothing is
/// named.
fn least_uses(scene: &RoleScene) -> u64 {
    let keys: BTreeSet<_> = scene.wanted.iter().map(|wanted| (&wanted.mount, &wanted.path)).collect();
    (keys.len().max(1) as u64 + OTHER_USES).max(scene.uses_at_once)
}

/// What the role asked for against what the mount's or the server's own limits made of it.
async fn lifetime(scene: &RoleScene) -> Finding {
    let Some((login, _)) = scene.logged_in().await else { return Finding::skipped("nobody logged in") };
    let seconds = login.lease_duration;
    let (ttl, period, kind) = if let Some(role) = &scene.expected {
        let kind = match role.token.token_type {
            TokenType::Default => None,
            TokenType::Service => Some("service"),
            TokenType::Batch => Some("batch"),
        };
        (role.token.ttl, role.token.period, kind)
    } else if let Some(document) = scene.held().await {
        (document.token().token_ttl, document.token().token_period, None)
    } else {
        (0, 0, None)
    };
    let mount = &scene.mount.path;
    let tune = |finding: Finding| {
        finding
            .run("look at the mount's limits", format!("{} read sys/mounts/auth/{mount}/tune", scene.mount.vault.cli()))
    };
    if seconds < ttl && period == 0 {
        let finding = Finding::warning("the token lives shorter than the role says")
            .with("it lives for", format!("{seconds} s"))
            .with("the role says", format!("{ttl} s"));
        let in_vault = scene.held().await;
        // The role's own limit, which the mount's say nothing of.
        if let Some(most) = in_vault.map(|document| document.token().token_explicit_max_ttl)
            && (1..ttl).contains(&most)
        {
            let finding = finding.with("the role's token_explicit_max_ttl", format!("{most} s"));
            return match (scene.mount.source.bootstrap(), &scene.expected) {
                (Some(_), Some(role)) if role.token.explicit_max_ttl == most => finding
                    .to_do("let `explicitMaxTtl` of the role be as long as its `ttl`, then run `vaultk8s bootstrap`"),
                _ => finding.mend([set(scene, &[("token_explicit_max_ttl", "0")]).await]),
            };
        }
        return match (in_vault.map(|document| document.token().token_ttl), scene.mount.source.bootstrap()) {
            (Some(in_vault), Some(remedy)) if in_vault != ttl => {
                finding.with("the role in Vault says", format!("{in_vault} s")).mend([remedy])
            }
            _ => tune(match longest(scene).await {
                Some(most) => finding.with("the mount's max_lease_ttl", format!("{most} s")),
                None => finding,
            }),
        };
    }
    match kind.filter(|kind| *kind != login.token_type) {
        Some(kind) => tune(Finding::warning(format!("it is a {} token, not a {kind} token", login.token_type))),
        None => Finding::passed(format!("{seconds} s")),
    }
}

async fn uses(scene: &RoleScene) -> Finding {
    let Some(document) = scene.held().await else {
        return unread();
    };
    let uses = document.token().token_num_uses;
    if uses == 0 || uses >= least_uses(scene) {
        return Finding::passed(if uses == 0 { "without limit".to_owned() } else { format!("{uses} times") });
    }
    let meant = scene.expected.as_ref().map(|role| role.token.num_uses);
    let detail =
        format!("the token may be used {}", if uses == 1 { "once".to_owned() } else { format!("{uses} times") });
    let finding =
        if meant == Some(uses) && !scene.used_by_stores { Finding::warning(detail) } else { Finding::failed(detail) };
    let finding = finding
        .with("the role's token_num_uses", uses.to_string())
        .with(
            "External Secrets uses a token",
            format!("once for each key that it reads, then to look it up and to revoke it: {} times", least_uses(scene)),
        )
        .why("every request is a use, a refused one too; then Vault answers `permission denied` to a token that was good a moment ago");
    let finding = match scene.uses_at_once {
        0 => finding,
        most => finding.with("the most that one ExternalSecret needs", most.to_string()),
    };
    match (scene.mount.source.bootstrap(), meant) {
        (Some(remedy), meant) if meant != Some(uses) => finding.mend([remedy]),
        (Some(_), _) => finding.to_do("take `numUses` of the role out of the file, then run `vaultk8s bootstrap`"),
        (None, _) => finding.mend([set(scene, &[("token_num_uses", "0")]).await]),
    }
}

async fn self_service(scene: &RoleScene) -> Finding {
    const LOOKUP: &str = "auth/token/lookup-self";
    const REVOKE: &str = "auth/token/revoke-self";
    let Some(capabilities) = super::access::capabilities(scene).await else {
        return Finding::skipped("nobody logged in");
    };
    let Ok(capabilities) = capabilities else { return Finding::unseen("what the login may do could not be asked") };
    let may = |path: &str, capability: &str| {
        capabilities.get(path).is_some_and(|has| has.iter().any(|has| has == capability || has == "root"))
    };
    let missing: Vec<(&str, &str)> = [(LOOKUP, "read"), (REVOKE, "update")]
        .into_iter()
        .filter(|(path, capability)| !may(path, capability))
        .collect();
    let lacks: Vec<String> = missing.iter().map(|(path, capability)| format!("{capability} on {path}")).collect();
    let (detail, why) = match lacks.as_slice() {
        [] => return Finding::passed("it may"),
        [_] if may(LOOKUP, "read") => (
            "the token may not revoke itself",
            "External Secrets leaves a token behind with every refresh, each until its TTL ends",
        ),
        _ => (
            "the token may not look itself up or revoke itself",
            "External Secrets does both: where it may not look the token up, the store is not ready (`unable to validate store`), and its events say `invalid vault credentials`",
        ),
    };
    let finding =
        if scene.used_by_stores && !may(LOOKUP, "read") { Finding::failed(detail) } else { Finding::warning(detail) };
    let finding = finding.with("it lacks", lacks.join(", ")).why(why);
    let has_default = match scene.login().await {
        Some(Ok(login)) => login.token_policies.iter().any(|name| name == "default"),
        _ => false,
    };
    if has_default {
        return trimmed_default(scene, finding, &missing).await;
    }
    let drifted = scene.expected.as_ref().is_some_and(|role| !role.token.no_default_policy);
    match (drifted, scene.mount.source.bootstrap()) {
        (true, Some(remedy)) => finding.mend([remedy]),
        (_, Some(_)) => finding.to_do(
            "take `noDefaultPolicy` of the role out of the file, or give the role a policy with rules for both paths; then run `vaultk8s bootstrap`",
        ),
        _ => finding.mend([set(scene, &[("token_no_default_policy", "false")]).await]),
    }
}

/// A login that has Vault's policy `default`, and yet lacks what that grants as Vault makes it: neither the role nor the file has
/// anything to do with it.
async fn trimmed_default(scene: &RoleScene, finding: Finding, missing: &[(&str, &str)]) -> Finding {
    let rules: Vec<String> = missing
        .iter()
        .map(|(path, capability)| format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}"))
        .collect();
    let Some(default) = scene.mount.vault.policy("default").await else {
        return finding.to_do(format!(
            "look whether Vault's policy `default`, which can't be read with this token, still has its rules: {}",
            rules.join(" ")
        ));
    };
    let granted = |(path, capability): &(&str, &str)| {
        let has = Acl::new([&default]).capabilities(path);
        capability.parse().is_ok_and(|capability: Capability| has.allows(capability) != Some(false))
    };
    if missing.iter().any(granted) {
        return finding.to_do(
            "Vault's policy `default` grants it, and another policy of the login takes it away: look for that rule",
        );
    }
    finding
        .with("Vault's policy default, which the login has, lacks the rules", rules.join(" "))
        .run("give them back to the policy `default`, which every login has", adding(scene, "default", &rules))
}

/// The most that a mount's logins may live, in seconds, where it can be read (`GET sys/mounts/auth/{path}/tune`).
async fn longest(scene: &RoleScene) -> Option<u64> {
    #[derive(Deserialize)]
    struct Tune {
        max_lease_ttl: u64,
    }
    let tune = Request::<Data<Tune>>::read(format!("sys/mounts/auth/{}/tune", scene.mount.path));
    scene.mount.vault.client.send(&tune).await.ok().map(|answer| answer.data.max_lease_ttl)
}

async fn refresh(scene: &RoleScene) -> Finding {
    let Some(document) = scene.held().await else {
        return unread();
    };
    let Some(interval) = scene.refresh else {
        return Finding::skipped("nothing here says how often secrets are refreshed");
    };
    let (ttl, period) = (document.token().token_ttl, document.token().token_period);
    let lives = ttl.max(period);
    if lives == 0 || lives >= interval {
        return Finding::passed(format!("refreshed every {interval} s"));
    }
    let finding = Finding::warning("the token lives shorter than the interval at which secrets are refreshed")
        .with("the role's token_ttl", format!("{lives} s"))
        .with("secrets are refreshed every", format!("{interval} s"))
        .why("External Secrets logs in anew for each refresh, and so a token that it was told to keep (--enable-vault-token-cache) saves it no login; whoever else keeps one finds it ended");
    let meant = scene.expected.as_ref().map(|role| role.token.ttl.max(role.token.period));
    match (scene.mount.source.bootstrap(), meant) {
        (Some(remedy), Some(meant)) if meant >= interval => finding.mend([remedy]),
        (Some(_), _) => {
            finding.to_do("let `ttl` of the role be longer than the interval, then run `vaultk8s bootstrap`")
        }
        (None, _) => {
            let (seconds, most) = (interval.to_string(), document.token().token_max_ttl);
            let mut fields = vec![("token_ttl", seconds.as_str())];
            // Vault refuses a life that is longer than the longest.
            fields.extend((most > 0 && most < interval).then_some(("token_max_ttl", seconds.as_str())));
            finding.mend([set(scene, &fields).await])
        }
    }
}
