//! Logins that a quota of Vault turns away unread. Requests that come too fast are sent again more slowly, so that this is one that lets
//! nothing through for as long as an answer may take.

use crate::vault::quotas::{Limited, Quota, QuotasThere};
use crate::vault::{TurnedAwayBy, VaultError};
use crate::verify::catalogue::LOGIN_LIMITS;
use crate::verify::facts::login::{Stranger, StrangersLogin};
use crate::verify::facts::vault::Quotas;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{CheckResult, Finding, plural};
use crate::verify::scene::RoleScene;
use crate::verify::walk::Afterwards;

/// The check that logins get through, which the tries of others show.
pub(in crate::verify) const AFTERWARDS: &[Afterwards] = &[Afterwards { check: LOGIN_LIMITS, look: get_through }];

/// The logins after the role's own.
fn get_through(scene: &RoleScene, _: &[CheckResult]) -> Known<Finding> {
    if scene.logged_in()?.is_none() {
        return Ok(Finding::skipped("nobody logged in"));
    }
    let strangers = [Stranger::of_nobodys_audience(), Some(Stranger::Unsigned)];
    for stranger in strangers.into_iter().flatten() {
        let tried = StrangersLogin { consumer: scene.consumer(), stranger };
        if let Some(Ok(Err(error))) = scene.facts().known(&tried)
            && let Some(limit) = error.limit()
        {
            return stopped(scene, error, limit, "the first login got through, and no other after it");
        }
    }
    Ok(Finding::passed("none was turned away"))
}

/// What is told of a limit that stops logins.
pub(super) fn stopped(scene: &RoleScene, error: &VaultError, limit: TurnedAwayBy, how: &str) -> Known<Finding> {
    let mount = &scene.mount.path;
    let kind = match limit {
        TurnedAwayBy::Rate => Limited::Rate,
        TurnedAwayBy::Leases => Limited::Leases,
        TurnedAwayBy::BeforeVault => {
            let stops = format!("what stands before Vault stops logins at auth/{mount}: {how}");
            let finding = Finding::failed(stops)
                .with("what came", error.errors().join("; "))
                .why("whoever logs in the same way is turned away before Vault sees it, consumers too");
            return Ok(error.remedies().into_iter().fold(finding, Finding::to_do));
        }
    };
    let finding = Finding::failed(format!("a quota of Vault stops logins at auth/{mount}: {how}"))
        .with("the server says", error.errors().join("; "))
        .why("whoever logs in is turned away unread, consumers too, until the quota lets logins through again");
    let vault = &scene.mount.vault;
    // Quotas are kept in the root namespace.
    let cli = vault.root_cli();
    let list =
        || format!("look which quota it is, and raise it: {} shows them", cli.run("list").name(kind.path()).shown());
    let (quotas, unread) = match scene.facts().get(&Quotas { kind })? {
        Ok(Some(QuotasThere { quotas, unread })) => (quotas, *unread),
        Ok(None) => return Ok(finding.with("the quotas", "they can't be read with this token").to_do(list())),
        Err(error) => return Ok(finding.with("the quotas", format!("they were not read: {error}")).to_do(list())),
    };
    let finding = if unread == 0 {
        finding
    } else {
        finding.with("the quotas", format!("there are so many that {unread} of them were not looked at"))
    };
    let full = format!("{}auth/{mount}", vault.namespace().map(|name| format!("{name}/")).unwrap_or_default());
    let mut about: Vec<&Quota> = quotas.iter().filter(|quota| quota.is_about(&full, scene.name.as_str())).collect();
    // The closest is the one that counts.
    about.sort_by_key(|quota| std::cmp::Reverse((quota.path.len(), quota.role.len())));
    let Some(first) = about.first() else {
        let none = if unread == 0 {
            "none of Vault's own is about these logins"
        } else {
            "none of the others is about these logins"
        };
        return Ok(finding.with("the quotas", none).to_do(list()));
    };
    let path = format!("{}/{}", kind.path(), first.name);
    let finding = about.iter().fold(finding, |finding, quota| {
        finding.with(format!("the quota {}/{}", kind.path(), quota.name), limits(quota, kind))
    });
    // What is left away of a quota that is written goes back to its default, its path included.
    let mut write = cli.write(&path).field("path", &first.path);
    if !first.role.is_empty() {
        write = write.field("role", &first.role);
    }
    let write = match kind {
        Limited::Rate => {
            write = write.field("interval", &format!("{}s", first.interval));
            if first.block_interval > 0.0 {
                write = write.field("block_interval", &format!("{}s", first.block_interval));
            }
            if first.inheritable { write.fixed("inheritable=true rate=…") } else { write.fixed("rate=…") }
        }
        Limited::Leases if first.inheritable => write.fixed("inheritable=true max_leases=…"),
        Limited::Leases => write.fixed("max_leases=…"),
    };
    Ok(finding
        .to_do(format!("let the quota {path} let more through: {}", write.shown()))
        .to_do(format!("or delete it, if nobody needs it: {}", cli.run("delete").name(&path).shown())))
}

/// What a quota lets through, and of what.
fn limits(quota: &Quota, kind: Limited) -> String {
    let of = match (quota.path.as_str(), quota.role.as_str()) {
        ("", _) => "everything".to_owned(),
        (path, "") => path.to_owned(),
        (path, role) => format!("logins as {role} at {path}"),
    };
    match kind {
        Limited::Leases => {
            format!("{} for {of}", plural(usize::try_from(quota.max_leases).unwrap_or(usize::MAX), "lease"))
        }
        Limited::Rate => {
            let blocked = if quota.block_interval > 0.0 {
                format!(", and none for {} s after more than that", quota.block_interval)
            } else {
                String::new()
            };
            let requests = if quota.rate > 1.0 { "requests" } else { "request" };
            format!("{} {requests} in {} s for {of}{blocked}", quota.rate, quota.interval)
        }
    }
}
