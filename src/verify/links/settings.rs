//! The settings of an auth mount that decide about its logins: as the file says, and where it says nothing as the server has it.

use serde_json::{Map, Value};

use crate::fix::Command;
use crate::model::{AuthMount, TokenFields};
use crate::names::RoleName;
use crate::plan::{InTheClear, Remark, remarks};
use crate::verify::catalogue::{CLEAR_SECRETS, MOUNT_SETTINGS};
use crate::verify::facts::vault::AuditDevices;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy};
use crate::verify::scene::MountScene;
use crate::verify::walk::{Row, row};

/// The checks of a mount's settings.
pub(in crate::verify) const ROWS: &[Row<MountScene>] = &[row!(MOUNT_SETTINGS, settings), row!(CLEAR_SECRETS, secrets)];

fn unseen() -> Finding {
    Finding::unseen("the mount's settings can't be seen with this token")
        .to_do("grant the token: path \"sys/auth\" { capabilities = [\"read\"] }")
}

/// The command that changes a setting, and leaves the others.
pub(super) fn tune(mount: &MountScene, field: &str, value: &str) -> Command {
    mount.vault.cli().write(&format!("sys/mounts/auth/{}/tune", mount.path)).field(field, value)
}

/// The settings that the file names, and Vault has otherwise: with what it names and what Vault has.
fn drifted(named: &Map<String, Value>, held: &Map<String, Value>) -> Vec<(String, String, String)> {
    let differ = named.iter().filter(|(field, wanted)| held.get(*field) != Some(wanted));
    differ
        .map(|(field, wanted)| {
            let held = held.get(field).map_or_else(|| "nothing".to_owned(), ToString::to_string);
            (field.clone(), wanted.to_string(), held)
        })
        .collect()
}

fn settings(mount: &MountScene) -> Known<Finding> {
    let Some(there) = mount.listed()? else { return Ok(unseen()) };
    let named = &mount.tune;
    let mut held = there.settings.fields();
    held.insert("local".to_owned(), there.local.into());
    held.insert("seal_wrap".to_owned(), there.seal_wrap.into());
    let wanted: Map<String, Value> =
        named.settings.iter().chain(&named.fixed).map(|(field, value)| (field.clone(), value.clone())).collect();
    let drifted = drifted(&wanted, &held);
    if !drifted.is_empty() {
        let fields: Vec<&str> = drifted.iter().map(|(field, ..)| field.as_str()).collect();
        let finding =
            Finding::failed(format!("the mount has other settings than the file names: {}", fields.join(", ")));
        let finding = drifted.iter().fold(finding, |finding, (field, wanted, held)| {
            finding
                .with(format!("the mount's {field}"), held.clone())
                .with(format!("the file's {field}"), wanted.clone())
        });
        let fixed = drifted.iter().any(|(field, ..)| named.fixed.contains_key(field));
        let finding = finding.why("they decide about every login of the mount, whatever its roles say");
        return Ok(if fixed {
            finding.to_do("`local` and `sealWrap` can't be changed: correct them in the file, or name another `mount`")
        } else {
            finding.mend(mount.source.bootstrap())
        });
    }
    Ok(of_what_is_not_named(mount, there))
}

/// What the file doesn't name is somebody's who tuned the mount by hand: told where it decides otherwise than its roles say.
fn of_what_is_not_named(mount: &MountScene, there: &AuthMount) -> Finding {
    let roles = mount.desired.iter().flat_map(|desired| &desired.roles);
    let roles = roles.map(|role| (&role.name, role.document.token()));
    let roles: Vec<(&RoleName, &TokenFields)> = roles.collect();
    // How long a login's token lives, the login shows (VK701).
    let (grave, notes): (Vec<Remark>, Vec<Remark>) = remarks(there, &mount.tune.settings, roles)
        .into_iter()
        .partition(|remark| remark.grave && remark.field != "max_lease_ttl");
    if grave.is_empty() {
        let has: Vec<&str> = notes.iter().map(|remark| remark.has.trim_start_matches("has ")).collect();
        return Finding::passed(match (has.is_empty(), mount.tune.settings.is_empty()) {
            (false, _) => has.join(", "),
            (true, false) => "as the file says".to_owned(),
            (true, true) => "the server's own".to_owned(),
        });
    }
    let says: Vec<String> = grave.iter().map(|remark| format!("it {}: {}", remark.has, remark.means)).collect();
    let unknown = mount.source.is_flags() || mount.keepers().is_some();
    let nobody = if unknown { "somebody has tuned the mount" } else { "the mount was tuned by hand" };
    let finding = Finding::warning(format!("{nobody}, and {}", says.join("; ")));
    let finding = grave.iter().fold(finding, |finding, remark| {
        let value = remark.has.split_once('=').map_or("", |(_, value)| value);
        finding.with(format!("the mount's {}", remark.field), value)
    });
    let finding = finding.why("a mount's settings decide about every login, whatever its roles say");
    if let Some(remedy) = mount.keepers() {
        return finding.mend([remedy]);
    }
    let finding = finding.mend(grave.iter().map(|remark| {
        let servers = match remark.field {
            "token_type" => "default-service",
            "listing_visibility" => "hidden",
            _ => "",
        };
        let text = format!("give {} back to the server, if nobody needs it", remark.field);
        Remedy { text, command: Some(tune(mount, remark.field, servers)) }
    }));
    if mount.source.is_flags() {
        return finding;
    }
    let fields: Vec<String> = grave.iter().map(|remark| format!("`auth.tune.{}`", remark.written)).collect();
    finding.to_do(format!("or say in the file that it is meant: {}", fields.join(", ")))
}

/// The mount has them hashed; a device may be told to hash nothing.
fn as_devices_have_them(mount: &MountScene) -> Known<Finding> {
    let vault = &mount.vault;
    let Some(devices) = mount.facts().get(&AuditDevices)? else {
        return Ok(Finding::passed(
            "the mount has them as hashes; whether an audit device logs everything raw (log_raw) was not seen with this token",
        ));
    };
    let raw: Vec<&str> = devices.iter().filter(|(_, device)| device.is_raw()).map(|(path, _)| path.as_str()).collect();
    if raw.is_empty() {
        return Ok(Finding::passed("they stand there as hashes"));
    }
    Ok(Finding::warning(format!(
        "an audit device logs everything raw, the tokens of logins included: {}",
        raw.join(", ")
    ))
    .why(
        "whoever reads the log, or where it is sent to, can log in with the tokens in it for as long as they are valid",
    )
    .run("look at the devices, and enable those anew without log_raw", vault.root_cli().run("audit list -detailed")))
}

fn secrets(mount: &MountScene) -> Known<Finding> {
    let Some(there) = mount.listed()? else { return Ok(unseen()) };
    let (all, meant) = match InTheClear::of(there, &mount.tune.settings) {
        InTheClear::Nothing => return as_devices_have_them(mount),
        InTheClear::Meant(all) => (all, true),
        InTheClear::Unsaid(all) => (all, false),
    };
    let finding = if meant { Finding::warning } else { Finding::failed };
    let keys = &there.settings.audit_non_hmac_request_keys;
    let kept: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !all.contains(key)).collect();
    let finding = finding(format!("{} of requests to this mount stand in the audit log in the clear", all.join(", ")))
        .with("the mount's audit_non_hmac_request_keys", keys.join(", "))
        .why("whoever reads the log, or where it is sent to, can log in with the tokens in it for as long as they are valid");
    if meant {
        return Ok(finding.mend([mount.in_its_file("take it out of `auth.tune.auditNonHmacRequestKeys`")]));
    }
    if let Some(remedy) = mount.keepers() {
        return Ok(finding.mend([remedy]));
    }
    Ok(finding.run(
        "let the audit log have hashes of them again",
        tune(mount, "audit_non_hmac_request_keys", &kept.join(",")),
    ))
}
