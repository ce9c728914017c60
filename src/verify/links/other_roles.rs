//! The roles of a mount beside those of the file: every role of a mount is a way in, whoever wrote it.

use std::collections::BTreeMap;

use crate::access::Entrance;
use crate::names::StoredName;
use crate::vault::{AuthMount, inventories_of, roles};
use crate::verify::catalogue::MOUNT_ROLES;
use crate::verify::finding::{Finding, Remedy, quoted, shortened};
use crate::verify::scene::{AllRoles, MountScene, Source};
use crate::verify::walk::{Row, row};

/// The check of a mount all of whose roles are looked at.
pub(in crate::verify) const ROWS: &[Row<MountScene>] = &[row!(MOUNT_ROLES, only_the_file_s)];

/// How many roles are read at once; the client has a limit of its own for all that is under way.
const AT_ONCE: usize = 64;

/// Of how many roles it is told whom they let in.
const SHOWN: usize = 30;

async fn only_the_file_s(mount: &MountScene) -> Finding {
    let Some(of_file) = &mount.all_roles else { return Finding::skipped("not all roles of the file are looked at") };
    let mut others = match others(mount, of_file).await {
        Ok(others) => others,
        Err(finding) => return finding,
    };
    let cel = match cel_roles(mount).await {
        Ok(cel) => cel,
        Err(finding) => return finding,
    };
    let cel_unlisted = cel.is_none();
    others.extend(cel.into_iter().flatten());
    if others.is_empty() && cel_unlisted {
        // A server without CEL roles forbids it too, so that this is no fault.
        return Finding::passed(format!(
            "it holds no others; CEL roles (OpenBao) are not seen, for want of `list` on auth/{}/cel/role",
            mount.path
        ));
    }
    if others.is_empty() {
        return Finding::passed("it holds no others");
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
            return Finding::passed(format!(
                "{found}; none lets in more than one account or gives a policy of the file"
            ));
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
        Some(more) => finding.with("and more", format!("{more}; `vaultk8s plan -o json` shows all")),
    };
    if of_file.exclusive {
        finding.mend(pruned(mount)).to_do("or take the role into the file, or set `exclusive: false` for the mount")
    } else {
        finding.to_do(
            "bind each role to the account that needs it, or take it into the file; `exclusive: true` makes any other role of the \
             mount a failure, which `bootstrap --prune` deletes",
        )
    }
}

/// The other roles, each with whom it lets in; a finding where they can't be known.
async fn others(mount: &MountScene, of_file: &AllRoles) -> Result<Vec<(String, Entrance)>, Finding> {
    let (client, path) = (&mount.vault.client, &mount.path);
    let Some(method) = mount.method().await else {
        return Err(Finding::unseen("the mount's type is not known, and so not how to read its roles"));
    };
    let listed = match roles::list(client, path).await {
        Ok(Some(listed)) => listed,
        Ok(None) => return Err(unlisted(mount, of_file)),
        Err(error) => return Err(Finding::of_vault(client, error).await),
    };
    let beside = listed.into_iter().filter(|name| !of_file.names.iter().any(|own| name.is(own.as_str())));
    let held = match roles::read_held(client, path, method, beside, AT_ONCE).await {
        Ok(held) => held,
        Err(error) => return Err(Finding::of_vault(client, error).await),
    };
    let own = of_file.owner.as_ref();
    let accessor = mount.listed().await.and_then(AuthMount::identity);
    let owners = if held.is_empty() { Ok(BTreeMap::new()) } else { inventories_of(client, path, accessor, own).await };
    let owners = match owners {
        Ok(owners) => owners,
        Err(error) => return Err(Finding::of_vault(client, error).await),
    };
    let other = |name: &str| owners.iter().find(|(_, list)| list.has(name));
    // On an exclusive mount a role is a fault whatever it gives.
    let policies = if of_file.exclusive { None } else { Some(&of_file.policies) };
    let entrance = |name: &StoredName, role| {
        let owner = other(name.as_str()).map(|(owner, _)| owner);
        Entrance::of(&role).beside(policies.into_iter().flatten()).written_by(owner)
    };
    Ok(held.into_iter().map(|(name, role)| (name.to_string(), entrance(&name, role))).collect())
}

/// The CEL roles, none of which a file has; `None` where they may not be listed.
async fn cel_roles(mount: &MountScene) -> Result<Option<Vec<(String, Entrance)>>, Finding> {
    let (client, path) = (&mount.vault.client, &mount.path);
    let Some(method) = mount.method().await else { return Ok(Some(Vec::new())) };
    match roles::list_cel(client, path, method).await {
        Ok(names) => {
            let told = |name| (format!("CEL role {name}"), Entrance::of_cel());
            Ok(names.map(|names| names.into_iter().map(told).collect()))
        }
        Err(error) => Err(Finding::of_vault(client, error).await),
    }
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
    let Source::File { file, flags } = &mount.source else { return None };
    Some(Remedy {
        text: "delete what the file doesn't name; the plan shows it and is to be approved".to_owned(),
        command: Some(format!("vaultk8s bootstrap -f {} --prune{flags}", quoted(&file.display().to_string()))),
    })
}
