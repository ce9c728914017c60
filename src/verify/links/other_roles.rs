//! The roles of a mount beside those of the file: every role of a mount is a way in, whoever wrote it.

use std::collections::BTreeSet;

use crate::access::Entrance;
use crate::model::{AuthMount, HeldRole};
use crate::names::{RoleName, StoredName};
use crate::verify::catalogue::MOUNT_ROLES;
use crate::verify::facts::mount::{CelRoles, OtherRoles, OthersInventories, RoleNames};
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy, shortened};
use crate::verify::scene::{AllRoles, MountScene, Source};
use crate::verify::walk::{Row, row};

/// The check of a mount all of whose roles are looked at.
pub(in crate::verify) const ROWS: &[Row<MountScene>] = &[row!(MOUNT_ROLES, only_the_file_s)];

/// Of how many roles it is told whom they let in.
const SHOWN: usize = 30;

fn only_the_file_s(mount: &MountScene) -> Known<Finding> {
    let Some(of_file) = &mount.all_roles else {
        return Ok(Finding::skipped("not all roles of the file are looked at"));
    };
    let mut others = match others(mount, of_file)? {
        Ok(others) => others,
        Err(finding) => return Ok(finding),
    };
    let cel = match cel_roles(mount)? {
        Ok(cel) => cel,
        Err(finding) => return Ok(finding),
    };
    let cel_unlisted = cel.is_none();
    others.extend(cel.into_iter().flatten());
    if others.is_empty() && cel_unlisted {
        // A server without CEL roles forbids it too, so that this is no fault.
        return Ok(Finding::passed(format!(
            "it holds no others; CEL roles (OpenBao) are not seen, for want of `list` on auth/{}/cel/role",
            mount.path
        )));
    }
    if others.is_empty() {
        return Ok(Finding::passed("it holds no others"));
    }
    // The widest first.
    let (mut told, rest): (Vec<_>, Vec<_>) = others.iter().partition(|(_, entrance)| entrance.is_conspicuous());
    let conspicuous = told.len();
    told.extend(rest);
    let names: Vec<String> = told.iter().map(|(name, _)| name.clone()).collect();
    let roles = if names.len() == 1 { "role" } else { "roles" };
    let found = format!("{} unmanaged {roles}: {}", names.len(), shortened(&names));
    let finding = match (of_file.exclusive, conspicuous) {
        (true, _) => Finding::failed(format!("auth/{} is exclusive and holds {found}", mount.path)),
        (false, 0) => {
            return Ok(Finding::passed(format!(
                "{found}; none lets in more than one account or gives a policy of the file"
            )));
        }
        (false, _) => Finding::warning(format!("auth/{} holds {found}", mount.path)),
    };
    let finding = told
        .iter()
        .take(SHOWN)
        .fold(finding, |finding, (name, entrance)| finding.with(name.clone(), entrance.to_string()))
        .why("every role of a mount lets somebody in, whoever wrote it, with a token of this cluster");
    let finding = match told.len().checked_sub(SHOWN) {
        None | Some(0) => finding,
        Some(more) => {
            finding.with("and more", format!("{more}; {} shows all", mount.source.own("plan").fixed("-o json").shown()))
        }
    };
    // What another owner's file has, pruning leaves alone.
    let is_prunable = told.iter().any(|(_, entrance)| entrance.owner.is_none());
    Ok(if of_file.exclusive {
        finding
            .mend(pruned(mount).filter(|_| is_prunable))
            .to_do("or take the role into the file, or set `exclusive: false` for the mount")
    } else {
        finding.to_do(
            "bind each role to the account that needs it, or take it into the file; `exclusive: true` makes any other role of the \
             mount a failure, which pruning deletes",
        )
    })
}

/// The other roles, each with whom it lets in; a finding where they can't be known.
fn others(mount: &MountScene, of_file: &AllRoles) -> Known<Result<Told, Finding>> {
    let path = &mount.path;
    let Some(method) = mount.method()? else {
        return Ok(Err(Finding::unseen("the mount's type is not known, and so not how to read its roles")));
    };
    let listed = match mount.facts().get(&RoleNames { mount: path.clone() })? {
        Ok(Some(listed)) => listed,
        Ok(None) => return Ok(Err(unlisted(mount, of_file))),
        Err(error) => return Ok(Err(mount.vault.refused(error)?)),
    };
    let own: BTreeSet<&str> = of_file.names.iter().map(RoleName::as_str).collect();
    let beside = listed.iter().filter(|name| !own.contains(name.lowered().as_str()));
    let names: Vec<StoredName> = beside.cloned().collect();
    if names.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let held = match mount.facts().get(&OtherRoles { mount: path.clone(), method, names })? {
        Ok(held) => held,
        Err(error) => return Ok(Err(mount.vault.refused(error)?)),
    };
    if held.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let accessor = mount.listed()?.and_then(AuthMount::identity).map(str::to_owned);
    let owners = match mount.facts().get(&OthersInventories {
        mount: path.clone(),
        accessor,
        without: of_file.owner.clone(),
    })? {
        Ok(owners) => owners,
        Err(error) => return Ok(Err(mount.vault.refused(error)?)),
    };
    let other = |name: &str| owners.iter().find(|(_, list)| list.has(name));
    // On an exclusive mount a role is a fault whatever it gives.
    let policies = if of_file.exclusive { None } else { Some(&of_file.policies) };
    let entrance = |name: &StoredName, role: &HeldRole| {
        let owner = other(name.as_str()).map(|(owner, _)| owner);
        Entrance::of(role).beside(policies.into_iter().flatten()).written_by(owner)
    };
    Ok(Ok(held.iter().map(|(name, role)| (name.to_string(), entrance(name, role))).collect()))
}

/// Roles, each with whom it lets in.
type Told = Vec<(String, Entrance)>;

/// The CEL roles, none of which a file has; `None` where they may not be listed.
fn cel_roles(mount: &MountScene) -> Known<Result<Option<Told>, Finding>> {
    let Some(method) = mount.method()? else { return Ok(Ok(Some(Vec::new()))) };
    Ok(match mount.facts().get(&CelRoles { mount: mount.path.clone(), method })? {
        Ok(names) => {
            let told = |name: &StoredName| (format!("CEL role {name}"), Entrance::of_cel());
            Ok(names.as_ref().map(|names| names.iter().map(told).collect()))
        }
        Err(error) => Err(mount.vault.refused(error)?),
    })
}

/// On a mount that the file claims, what can't be seen is not in order.
fn unlisted(mount: &MountScene, of_file: &AllRoles) -> Finding {
    let path = &mount.path;
    let finding = if of_file.exclusive {
        Finding::failed(format!("auth/{path} is exclusive, and its roles can't be listed with this token"))
            .why("others may be there and let somebody in, and nobody would know")
    } else {
        Finding::unseen("the mount's roles can't be listed with this token")
    };
    finding.to_do(format!("grant the token: path \"auth/{path}/role\" {{ capabilities = [\"list\"] }}"))
}

/// The command that deletes what the file doesn't name, after asking.
fn pruned(mount: &MountScene) -> Option<Remedy> {
    let Source::File { .. } = &mount.source else { return None };
    Some(Remedy {
        text: "delete what the file doesn't name; the plan shows it and is to be approved".to_owned(),
        command: Some(mount.source.own("bootstrap --prune")),
    })
}
