//! An auth mount itself: is it there, described and set as the file says, and what of its settings does the file not say?

use serde_json::{Map, Value};

use super::fields::{FieldChange, changed};
use super::keys::RecordWrite;
use super::kubernetes::Planned;
use super::logged::InTheClear;
use super::settings::remarks;
use super::{Action, Change, Object, Write};
use crate::desired::DesiredMount;
use crate::error::{Error, Result};
use crate::model::{AuthMount, Observed, owner_option};
use crate::names::Owner;

/// What has to change of the mount itself, and what should be known of it. A new mount is enabled with the record of `seen` keys,
/// which is taken then.
///
/// # Errors
/// When its path is taken by something else, or by a mount that would have to be made anew.
pub(super) fn plan(
    mount: &DesiredMount,
    observed: &Observed,
    owner: Option<&Owner>,
    seen: &mut Option<RecordWrite>,
) -> Result<Planned> {
    let path = mount.path.as_str();
    let mut planned = Planned::default();
    let Some(there) = observed.auth_mounts.get(path) else {
        if let Some(taken) = observed.auth_mounts.keys().find(|there| overlaps(there, path)) {
            return Err(Error::failed(format!("auth/{path}/ can't be made beside the mount auth/{taken}/"))
                .remedy("one mount's path can't begin with another's: give the cluster another `mount:`, or --mount"));
        }
        planned.changes.push(enabled(mount, owner, seen.take()));
        return Ok(planned);
    };
    if there.kind != mount.method.as_str() {
        return Err(Error::failed(format!(
            "auth/{path}/ is already there as a mount of type {}, and cluster {} needs one of type {}",
            there.kind, mount.cluster, mount.method
        ))
        .remedy("give the cluster another `mount:` in the file, or --mount on the command line")
        .remedy("or, if nothing uses it any more, disable it by hand: its roles go with it"));
    }
    refuse_other_fixed(mount, there)?;
    planned.changes.extend(tuned(mount, there));
    if let InTheClear::Unsaid(secrets) = InTheClear::of(there, &mount.tune.settings) {
        let keys = there.settings.audit_non_hmac_request_keys.iter().map(String::as_str);
        let kept: Vec<&str> = keys.filter(|key| !secrets.contains(key)).collect();
        planned.warnings.push(format!(
            "auth/{path} writes secrets into the audit log in the clear: {} (audit_non_hmac_request_keys). Whoever reads the log \
             can log in with them. Let {} of auth/{path} have {} alone; \
             `auth.tune.auditNonHmacRequestKeys` in the file says what may stand there",
            secrets.join(", "),
            "audit_non_hmac_request_keys",
            if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") }
        ));
    }
    let roles = mount.roles.iter().map(|role| (&role.name, role.document.token()));
    for remark in remarks(there, &mount.tune.settings, roles) {
        let text = format!("auth/{path} {}, which the file doesn't say: {}", remark.has, remark.means);
        if remark.grave { planned.warnings.push(text) } else { planned.notices.push(text) }
    }
    Ok(planned)
}

/// The mount is made.
fn enabled(mount: &DesiredMount, owner: Option<&Owner>, seen: Option<RecordWrite>) -> Change {
    let mut fields = vec![FieldChange { field: "type".to_owned(), before: None, after: mount.method.as_str().into() }];
    let description = mount.description.as_deref().map(Value::from);
    fields.extend(description.map(|after| FieldChange { field: "description".to_owned(), before: None, after }));
    let named = mount.tune.settings.iter().chain(&mount.tune.fixed);
    fields.extend(named.map(|(field, after)| FieldChange { field: field.clone(), before: None, after: after.clone() }));
    let mut options = seen.as_ref().map(|seen| seen.options.clone()).unwrap_or_default();
    // From its first moment on, so that a run that ends here leaves no mount that is nobody's.
    options.extend(owner_option(owner));
    fields.extend(seen.map(|seen| seen.field));
    let write = Write::EnableMount {
        mount: mount.path.clone(),
        method: mount.method,
        description: mount.description.clone().unwrap_or_default(),
        tune: mount.tune.settings.clone(),
        fixed: mount.tune.fixed.clone(),
        options,
    };
    change(mount, Action::Create, fields, write)
}

/// Description and settings that differ from what the file names, in one write.
fn tuned(mount: &DesiredMount, there: &AuthMount) -> Option<Change> {
    let description = mount.description.as_ref().filter(|wanted| **wanted != there.description);
    let mut fields: Vec<FieldChange> = Vec::new();
    if let Some(wanted) = description {
        let before = Some(Value::from(there.description.as_str()));
        fields.push(FieldChange { field: "description".to_owned(), before, after: wanted.as_str().into() });
    }
    let settings = changed(Some(&there.settings.fields().into()), &mount.tune.settings.clone().into());
    let tune: Map<String, Value> = settings.iter().map(|change| (change.field.clone(), change.after.clone())).collect();
    fields.extend(settings);
    if fields.is_empty() {
        return None;
    }
    let write = Write::TuneMount { mount: mount.path.clone(), description: description.cloned(), tune };
    Some(change(mount, Action::Update, fields, write))
}

fn change(mount: &DesiredMount, action: Action, fields: Vec<FieldChange>, write: Write) -> Change {
    Change {
        cluster: Some(mount.cluster.clone()),
        fields,
        ..Change::new(action, Object::Mount { mount: mount.path.clone() }, write)
    }
}

/// What only enabling decides can't be changed, and a mount isn't made anew with all that it holds because of it.
fn refuse_other_fixed(mount: &DesiredMount, there: &AuthMount) -> Result<()> {
    let path = &mount.path;
    for (field, written, held) in [("local", "local", there.local), ("seal_wrap", "sealWrap", there.seal_wrap)] {
        match mount.tune.fixed.get(field).and_then(Value::as_bool) {
            Some(wanted) if wanted != held => {
                return Err(Error::failed(format!(
                    "auth/{path}/ was enabled with {field}={held}, the file says {wanted}, and no server changes that later"
                ))
                .remedy(format!("write `{written}: {held}` under `auth.tune`, or take the line out"))
                .remedy("or name another `mount:`, which is made as the file says")
                .remedy("or disable the mount by hand, so that it is made anew: its roles go with it, and every token that it gave ends"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether one of two mount paths lies below the other, which Vault refuses.
fn overlaps(one: &str, other: &str) -> bool {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    below(one, other) || below(other, one)
}
