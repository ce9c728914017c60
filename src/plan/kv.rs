//! The KV mounts that the file makes: one that isn't there is made, and one that is there is never changed nor deleted.

use super::fields::FieldChange;
use super::kubernetes::Planned;
use super::{Action, Change, Object, Write};
use crate::desired::Desired;
use crate::model::{HeldKv, KvVersion, Observed};
use crate::names::MountPath;

/// The mounts that are made, and what should be known of those that are there.
pub(super) fn plan(desired: &Desired, observed: &Observed) -> Planned {
    let mut planned = Planned { objects: desired.kv.len(), ..Planned::default() };
    for mount in &desired.kv {
        match observed.kv.get(mount) {
            Some(HeldKv::Absent { namespace }) => planned.changes.push(made(mount, namespace.as_deref())),
            Some(HeldKv::There(KvVersion::V1)) => planned.notices.push(format!(
                "the KV mount {mount}/ is there and of version 1, where `create` makes one of version 2: it is left as it is, and the \
                 policies are written for version 1"
            )),
            Some(HeldKv::There(KvVersion::V2)) | None => {}
        }
    }
    planned
}

fn made(mount: &MountPath, namespace: Option<&str>) -> Change {
    let field = |field: &str, after: &str| FieldChange { field: field.to_owned(), before: None, after: after.into() };
    let mut fields = vec![field("type", "kv"), field("version", "2")];
    fields.extend(namespace.map(|namespace| field("in the child namespace", namespace)));
    let write = Write::EnableKv { mount: mount.clone(), namespace: namespace.map(str::to_owned) };
    Change { fields, ..Change::new(Action::Create, Object::KvMount { mount: mount.clone() }, write) }
}
