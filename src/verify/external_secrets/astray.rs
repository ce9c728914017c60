//! What leads nowhere, and so to none of the roles that are looked at: told with the cluster, because whose it is can
//! only be guessed.

use serde_json::json;

use super::store_object::{Store, StoreAccount};
use super::uses::{Astray, AstrayScene};
use crate::fix::Command;
use crate::verify::catalogue::{STORES_ASTRAY, STORES_THERE};
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, Remedy};
use crate::verify::walk::{Row, row};

/// The checks of what leads nowhere.
pub(in crate::verify) const ROWS: &[Row<AstrayScene>] =
    &[row!(STORES_ASTRAY, stores, without facts), row!(STORES_THERE, references)];

/// How many roles are named that a store may mean.
const SHOWN: usize = 3;

fn stores(scene: &AstrayScene) -> Finding {
    let Some(stores) = scene.stores.as_deref() else {
        return Finding::skipped("Vault gave no answer to compare them with");
    };
    let [first, ..] = stores else { return Finding::passed("none leads to a mount or role that is not there") };
    let more = if stores.len() > 1 { format!(", and {} more", stores.len() - 1) } else { String::new() };
    let detail = format!("{} logs in as a role that is not there{more}", first.store.shown());
    let finding = stores.iter().fold(Finding::warning(detail), |finding, Astray { store, akin }| {
        let roles = akin.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let more = akin.len().checked_sub(SHOWN + 1).map_or(String::new(), |more| format!(", and {} more", more + 1));
        let finding = finding
            .with(format!("{} logs in", store.shown()), login(store))
            .with("it was probably meant for", format!("{roles}{more}"));
        match &store.ready {
            Some(ready) if ready.denies() => finding.with("it says of itself", ready.to_string()),
            _ => finding,
        }
    });
    finding
        .why("it shares its auth mount or its service account with what is looked at here, and the login is refused; more than one of its fields is wrong, so that which role it means can only be guessed")
        .to_do("correct its `role`, and its `path` or `mountPath` and its `serviceAccountRef` with it, or remove the store")
}

fn login(store: &Store) -> String {
    let role = if store.auth.role.is_empty() { "no role" } else { &store.auth.role };
    let account = match &store.auth.account {
        StoreAccount::Named(account) => account.to_string(),
        StoreAccount::OfEach(name) => format!("{name} of each ExternalSecret's namespace"),
        StoreAccount::Operator => "the operator's own service account".to_owned(),
        StoreAccount::Token => "whom a token in a Secret is of".to_owned(),
    };
    format!("at auth/{} as {role}, as {account}", store.auth.mount)
}

/// `ExternalSecret`s whose store is not there: no store's own section can tell of them.
fn references(scene: &AstrayScene) -> Known<Finding> {
    let Some(Ok(Some(installed))) = scene.cluster.external_secrets()? else {
        return Ok(Finding::skipped("External Secrets' objects can't be read from here"));
    };
    if !installed.unseen.is_empty() {
        return Ok(Finding::unseen("not all stores may be listed"));
    }
    let lacking = installed.secrets.iter().map(|secret| (secret, secret.stores_that_lack(&installed.names)));
    let lacking: Vec<_> = lacking.filter(|(_, stores)| !stores.is_empty()).collect();
    let [(first, stores), ..] = lacking.as_slice() else {
        return Ok(Finding::passed("each of them"));
    };
    let more = if lacking.len() > 1 { format!("; and of {} more", lacking.len() - 1) } else { String::new() };
    let detail = format!(
        "{}, the store of ExternalSecret {}/{}, is not there{more}",
        stores.join(", "),
        first.namespace,
        first.name
    );
    let finding = lacking.iter().fold(Finding::warning(detail), |finding, (secret, stores)| {
        finding.with(format!("ExternalSecret {}/{} asks", secret.namespace, secret.name), stores.join(", "))
    });
    // Where all that is wrong is the kind, that is known.
    let kinds = lacking.iter().map(|(secret, stores)| {
        let kind = secret.store_of_the_other_kind(&installed.names).filter(|_| stores.len() == 1)?;
        let kubectl = scene.cluster.kubectl().within(&secret.namespace);
        let patch = json!({ "spec": { "secretStoreRef": { "kind": kind } } });
        Some(kubectl.merge("externalsecret", &secret.name, &patch))
    });
    let commands: Option<Vec<Command>> = kinds.collect();
    let by_kind = commands.and_then(Command::all).map(|command| Remedy {
        text: "name the kind of the store that is there, and correct where the ExternalSecret comes from".to_owned(),
        command: Some(command),
    });
    Ok(finding
        .mend(by_kind)
        .why("nothing is read for it, whatever is in order in Vault: External Secrets says `could not get ClusterSecretStore \"…\"` or `could not get SecretStore \"…\"`, `not found`")
        .to_do("correct `secretStoreRef`: its `name`, and its `kind`, which is `SecretStore` unless it says otherwise"))
}
