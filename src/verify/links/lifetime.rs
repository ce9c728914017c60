//! How long the login's token lives, how often it may be used, and whether it may look after itself.

use std::collections::BTreeSet;

use crate::model::{TokenKind, token_kind};
use crate::policy::{Acl, Capability, rule_on_a_line};
use crate::verify::capabilities::Unasked;
use crate::verify::catalogue::{GRANTED, LIFETIME, REFRESH, SELF_SERVICE, USES};
use crate::verify::facts::mount::LongestLease;
use crate::verify::facts::{Known, Knows, some};
use crate::verify::finding::Finding;
use crate::verify::links::by_file;
use crate::verify::links::policies::adding;
use crate::verify::links::role::{set, unread};
use crate::verify::links::settings::tune;
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The checks of the token's life.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] =
    &[row!(LIFETIME, lifetime), row!(SELF_SERVICE, self_service), row!(REFRESH, refresh)];

/// How often the token may be used, which what is done with it then hangs on.
pub(in crate::verify) const USES_ROWS: &[Row<RoleScene>] = &[row!(USES, uses)];

/// How often External Secrets uses a token beside the keys that it reads: it looks the token up, and revokes it.
const OTHER_USES: u64 = 2;

/// How often a consumer of what is named, or of what the stores' external secrets need at once, uses a token: of one key where nothing is
/// named.
fn least_uses(scene: &RoleScene) -> u64 {
    let keys: BTreeSet<_> = scene.wanted.iter().map(|wanted| (&wanted.mount, &wanted.path)).collect();
    (keys.len().max(1) as u64 + OTHER_USES).max(scene.uses_at_once)
}

/// What the login's role says of its tokens: as the file does, else as Vault does.
struct Asked {
    ttl: u64,
    period: u64,
    token_type: String,
}

fn asked(scene: &RoleScene) -> Known<Option<Asked>> {
    if let Some(role) = &scene.expected {
        let token = &role.token;
        return Ok(Some(Asked {
            ttl: token.ttl,
            period: token.period,
            token_type: token.token_type.as_str().to_owned(),
        }));
    }
    let token = some!(scene.held()?).token();
    Ok(Some(Asked { ttl: token.token_ttl, period: token.token_period, token_type: token.token_type.clone() }))
}

/// What the role asked for against what the mount's or the server's own limits made of it.
fn lifetime(scene: &RoleScene) -> Known<Finding> {
    let Some(login) = scene.logged_in()? else { return Ok(Finding::skipped("nobody logged in")) };
    let seconds = login.lease_duration;
    let Some(Asked { ttl, period, token_type }) = asked(scene)? else {
        return Ok(Finding::passed(format!("{seconds} s")));
    };
    // A periodic token has its period in place of a TTL.
    let lives = if period > 0 { period } else { ttl };
    if seconds < lives {
        return too_short(scene, seconds, lives);
    }
    let of_mount = scene.mount.listed()?.map(|mount| mount.settings.token_type.as_str());
    let by_mount = |finding: Finding| {
        let finding = match of_mount {
            Some(kind) => finding.with("the mount's token_type", kind),
            None => finding,
        };
        let finding = finding.with("the role's token_type", token_type.clone());
        let text = "leave the type to the roles";
        let finding = finding.run(text, tune(&scene.mount, "token_type", "default-service"));
        if scene.mount.source.is_flags() { finding } else { finding.to_do("or write `auth.tune.tokenType`") }
    };
    if login.is_batch() && period > 0 {
        return Ok(by_mount(Finding::warning(format!(
            "it is a batch token, which nobody can renew: the role's period is all that it lives, {seconds} s"
        ))));
    }
    Ok(match token_type.as_str() {
        "service" | "batch" if token_type != login.token_type => {
            by_mount(Finding::warning(format!("it is a {} token, not a {token_type} token", login.token_type)))
        }
        _ => Finding::passed(format!("{seconds} s")),
    })
}

/// The role asked for more, and something cut it.
fn too_short(scene: &RoleScene, seconds: u64, lives: u64) -> Known<Finding> {
    let finding = Finding::warning("the token lives shorter than the role says")
        .with("it lives for", format!("{seconds} s"))
        .with("the role says", format!("{lives} s"));
    let mount = &scene.mount;
    let in_vault = scene.held()?.map(crate::model::RoleDocument::token);
    // The role's own limit, which the mount's say nothing of.
    if let Some(most) = in_vault.map(|token| token.token_explicit_max_ttl)
        && (1..lives).contains(&most)
    {
        let finding = finding.with("the role's token_explicit_max_ttl", format!("{most} s"));
        return Ok(match (scene.mount.source.bootstrap(), &scene.expected) {
            (Some(_), Some(role)) if role.token.explicit_max_ttl == most => finding.to_do(format!(
                "let `explicitMaxTtl` of the role be as long as its `ttl`, {}",
                mount.source.then_bootstrap()
            )),
            _ => finding.mend([set(scene, &[("token_explicit_max_ttl", "0")])?]),
        });
    }
    let held = in_vault.map(|token| if token.token_period > 0 { token.token_period } else { token.token_ttl });
    if let (Some(held), Some(remedy)) = (held, by_file::role(scene, "`ttl` of the role")?)
        && held != lives
    {
        return Ok(finding.with("the role in Vault says", format!("{held} s")).mend([remedy]));
    }
    // What is configured is the mount's own; else the server's own limit is what it lives by.
    Ok(match mount.listed()?.map(|mount| mount.settings.max_lease_ttl) {
        Some(most) if most > 0 && most < lives => {
            let finding = finding.with("the mount's max_lease_ttl", format!("{most} s"));
            if let Some(remedy) = mount.keepers() {
                return Ok(finding.mend([remedy]).to_do("or write a shorter `ttl` of the role"));
            }
            let named = mount.tune.settings.contains_key("max_lease_ttl");
            if named {
                return Ok(finding.to_do(format!(
                    "let `auth.tune.maxLeaseTtl` be as long as the role's `ttl`, or that as short, {}",
                    mount.source.then_bootstrap()
                )));
            }
            let finding = finding
                .run("let the mount give tokens that live as long", tune(mount, "max_lease_ttl", &lives.to_string()));
            if mount.source.is_flags() {
                finding
            } else {
                finding.to_do("or write `auth.tune.maxLeaseTtl`, or a shorter `ttl` of the role, into the file")
            }
        }
        _ => {
            let finding = match longest(scene)? {
                Some(most) => finding.with("the server's max_lease_ttl for this mount", format!("{most} s")),
                None => finding,
            };
            finding.run(
                "look at the mount's limits",
                mount.vault.cli().read(&format!("sys/mounts/auth/{}/tune", mount.path)),
            )
        }
    })
}

/// Whether the login gives a batch token: as it did, else as role and mount say; `None` where neither can be seen.
fn is_batch(scene: &RoleScene) -> Known<Option<bool>> {
    if let Some(Ok(login)) = scene.login_so_far()? {
        return Ok(Some(login.is_batch()));
    }
    let of_mount = scene.mount.listed()?.map(|mount| mount.settings.token_type.as_str());
    let of_role = some!(scene.held()?).token();
    Ok(Some(token_kind(of_mount.unwrap_or_default(), &of_role.token_type) == TokenKind::Batch))
}

fn uses(scene: &RoleScene) -> Known<Finding> {
    let Some(document) = scene.held()? else {
        return Ok(unread());
    };
    let uses = document.token().token_num_uses;
    if uses == 0 {
        return Ok(Finding::passed("without limit"));
    }
    if is_batch(scene)? == Some(true) {
        return Ok(Finding::warning(format!(
            "the login's token is a batch token, whose uses nobody counts: token_num_uses={uses} has no effect"
        ))
        .with("the role's token_num_uses", uses.to_string())
        .with("the role's token_type", document.token().token_type.clone())
        .why("whoever has such a token may use it until it ends, as often as they like")
        .run("leave the type of token to the roles", tune(&scene.mount, "token_type", "default-service"))
        .to_do("or take the limit away: `numUses` of the role"));
    }
    if uses >= least_uses(scene) {
        return Ok(Finding::passed(format!("{uses} times")));
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
    Ok(match (by_file::role(scene, "`numUses` of the role")?, meant) {
        (Some(remedy), meant) if meant != Some(uses) => finding.mend([remedy]),
        (Some(_), _) => finding
            .to_do(format!("take `numUses` of the role out of the file, {}", scene.mount.source.then_bootstrap())),
        (None, _) => finding.mend([set(scene, &[("token_num_uses", "0")])?]),
    })
}

fn self_service(scene: &RoleScene) -> Known<Finding> {
    const LOOKUP: &str = "auth/token/lookup-self";
    const REVOKE: &str = "auth/token/revoke-self";
    let Some(capabilities) = super::asked::capabilities(scene)? else {
        return Ok(Finding::skipped("nobody logged in"));
    };
    let capabilities = match capabilities {
        Ok(capabilities) => capabilities,
        Err(Unasked::ByItself(_)) => return Ok(Finding::not_reached(format!("{} has to hold first", GRANTED.id))),
        Err(Unasked::InItsPlace { .. }) => return Ok(Finding::unseen("what the login may do could not be asked")),
    };
    let may = |path: &str, capability: &str| {
        capabilities.get(path).is_some_and(|has| has.iter().any(|has| has == capability || has == "root"))
    };
    // What no right lets it do, it lacks no right for.
    let batch = is_batch(scene)? == Some(true);
    let missing: Vec<(&str, &str)> = [(LOOKUP, "read"), (REVOKE, "update")]
        .into_iter()
        .filter(|(path, _)| !batch || *path != REVOKE)
        .filter(|(path, capability)| !may(path, capability))
        .collect();
    let lacks: Vec<String> = missing.iter().map(|(path, capability)| format!("{capability} on {path}")).collect();
    let (detail, why) = match lacks.as_slice() {
        [] if batch => {
            let seconds = scene.logged_in()?.map_or(0, |login| login.lease_duration);
            return Ok(Finding::skipped(format!(
                "it may look itself up; nobody can revoke it, because it is a batch token: External Secrets leaves each until it ends, \
                 after {seconds} s"
            )));
        }
        [] => return Ok(Finding::passed("it may")),
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
    let has_default = match scene.login()? {
        Some(Ok(login)) => login.token_policies.iter().any(|name| name == "default"),
        _ => false,
    };
    if has_default {
        return trimmed_default(scene, finding, &missing);
    }
    let drifted = scene.expected.as_ref().is_some_and(|role| !role.token.no_default_policy);
    Ok(match (drifted, by_file::role(scene, "`noDefaultPolicy` of the role")?) {
        (true, Some(remedy)) => finding.mend([remedy]),
        (_, Some(_)) => finding.to_do(format!(
            "take `noDefaultPolicy` of the role out of the file, or give the role a policy with rules for both paths; {}",
            scene.mount.source.then_bootstrap()
        )),
        _ => finding.mend([set(scene, &[("token_no_default_policy", "false")])?]),
    })
}

/// A login that has Vault's policy `default`, and yet lacks what that grants as Vault makes it: neither the role nor the file has
/// anything to do with it.
fn trimmed_default(scene: &RoleScene, finding: Finding, missing: &[(&str, &str)]) -> Known<Finding> {
    let rules: Vec<String> = missing.iter().map(|(path, capability)| rule_on_a_line(path, [*capability])).collect();
    let Some(default) = scene.mount.vault.policy("default")? else {
        return Ok(finding.to_do(format!(
            "look whether Vault's policy `default`, which can't be read with this token, still has its rules: {}",
            rules.join(" ")
        )));
    };
    let granted = |(path, capability): &(&str, &str)| {
        let has = Acl::new([&default]).capabilities(path);
        capability.parse().is_ok_and(|capability: Capability| has.allows(capability) != Some(false))
    };
    if missing.iter().any(granted) {
        return Ok(finding.to_do(
            "Vault's policy `default` grants it, and another policy of the login takes it away: look for that rule",
        ));
    }
    Ok(finding
        .with("Vault's policy default, which the login has, lacks the rules", rules.join(" "))
        .run("give them back to the policy `default`, which every login has", adding(scene, "default", &rules)))
}

/// The most that a mount's logins may live, in seconds, where it can be read (`GET sys/mounts/auth/{path}/tune`).
fn longest(scene: &RoleScene) -> Known<Option<u64>> {
    scene.facts().get(&LongestLease { mount: scene.mount.path.clone() }).copied()
}

fn refresh(scene: &RoleScene) -> Known<Finding> {
    let Some(document) = scene.held()? else {
        return Ok(unread());
    };
    let Some(interval) = scene.refresh else {
        return Ok(Finding::skipped("nothing here says how often secrets are refreshed"));
    };
    let (ttl, period) = (document.token().token_ttl, document.token().token_period);
    let lives = ttl.max(period);
    if lives == 0 || lives >= interval {
        return Ok(Finding::passed(format!("refreshed every {interval} s")));
    }
    let finding = Finding::warning("the token lives shorter than the interval at which secrets are refreshed")
        .with("the role's token_ttl", format!("{lives} s"))
        .with("secrets are refreshed every", format!("{interval} s"))
        .why("External Secrets logs in anew for each refresh, and so a token that it was told to keep (--enable-vault-token-cache) saves it no login; whoever else keeps one finds it ended");
    let meant = scene.expected.as_ref().map(|role| role.token.ttl.max(role.token.period));
    Ok(match (by_file::role(scene, "`ttl` of the role")?, meant) {
        (Some(remedy), Some(meant)) if meant >= interval => finding.mend([remedy]),
        (Some(_), _) => finding.to_do(format!(
            "let `ttl` of the role be longer than the interval, {}",
            scene.mount.source.then_bootstrap()
        )),
        (None, _) => {
            let (seconds, most) = (interval.to_string(), document.token().token_max_ttl);
            let mut fields = vec![("token_ttl", seconds.as_str())];
            // Vault refuses a life that is longer than the longest.
            fields.extend((most > 0 && most < interval).then_some(("token_max_ttl", seconds.as_str())));
            finding.mend([set(scene, &fields)?])
        }
    })
}
