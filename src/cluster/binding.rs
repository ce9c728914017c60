//! How the `ClusterRoleBinding` of a reviewer gets one subject more.
//!
//! Its subjects are one list, which the API server gives to one field manager as a whole. So this tool applies none of it: it makes a
//! binding that isn't there, and adds a subject to the very version that it read, so that nobody's subject is lost. Where another
//! tool applies the list, there is no way to add to it that its next run would not undo or fail at: it is left alone.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Subject};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::connect::Connection;
use super::error::explain;
use crate::error::{Error, Result};
use crate::model::{FIELD_MANAGER, ObservedBinding, Whose, new_binding};
use crate::names::Owner;

/// The binding as it should be.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    /// The `ClusterRole` that it gives.
    pub(super) role: &'a str,
    /// Those that were planned, the account last.
    pub(super) subjects: &'a [Subject],
    pub(super) owner: Option<&'a Owner>,
    /// Whether it was somebody else's when this was planned.
    pub(super) taken_over: bool,
}

/// Makes the binding, or adds the account to the one that is there: whoever was bound meanwhile stays, and one that somebody else
/// made meanwhile is left alone.
///
/// # Errors
/// When the API server refuses, or the binding is somebody else's and wasn't when this was planned.
pub(super) async fn bind(connection: &Connection, wanted: Wanted<'_>) -> Result<()> {
    const TRIES: u32 = 12;
    let Wanted { name, role, subjects, owner, .. } = wanted;
    // One that was deleted meanwhile doesn't come back with whom it bound.
    let account = &subjects[subjects.len().saturating_sub(1)..];
    let bindings: Api<ClusterRoleBinding> = Api::all(connection.client());
    let failed = |error| {
        let what = format!("writing ClusterRoleBinding {name}");
        explain(connection.refused(&what, error))
    };
    let by = || Some(FIELD_MANAGER.to_owned());
    for attempt in 1.. {
        let written = match bindings.get_opt(name).await.map_err(failed)? {
            None => {
                let params = PostParams { field_manager: by(), ..PostParams::default() };
                bindings.create(&params, &new_binding(name, role, account, owner)).await
            }
            Some(there) => {
                let version = there.metadata.resource_version.clone();
                let Some(subjects) = with_the_account(ObservedBinding::of(there), wanted)? else { return Ok(()) };
                let patch = json!({ "metadata": { "resourceVersion": version }, "subjects": subjects });
                let params = PatchParams { field_manager: by(), ..PatchParams::default() };
                bindings.patch(name, &params, &Patch::Merge(&patch)).await
            }
        };
        match written {
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < TRIES => {
                tokio::time::sleep(Duration::from_millis(u64::from(20 * attempt))).await;
            }
            written => return written.map(drop).map_err(failed),
        }
    }
    Ok(())
}

/// The subjects of a binding that is there, and the account; `None` where it is one of them.
fn with_the_account(there: ObservedBinding, wanted: Wanted<'_>) -> Result<Option<Vec<Subject>>> {
    let Wanted { name, role, owner, .. } = wanted;
    let Some(account) = wanted.subjects.last().filter(|account| !there.subjects.contains(account)) else {
        return Ok(None);
    };
    let whose = there.whose(owner);
    let agreed = whose == Whose::Own || wanted.taken_over && !matches!(whose, Whose::Applied(_));
    if !there.gives(role) || !agreed {
        return Err(Error::failed(format!(
            "the ClusterRoleBinding {name} is not what it was when this was planned: it belongs to {whose}, and binds {}",
            there.role
        ))
        .remedy("run it again, and look at the plan"));
    }
    let mut subjects = there.subjects;
    subjects.push(account.clone());
    Ok(Some(subjects))
}
