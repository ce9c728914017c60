//! A `kubernetes` mount whose tokens Vault reviews with the token of its own pod: what can be seen of that from outside.
//!
//! The token itself is in the pod alone, and the login is the proof of it. Who Vault's pods run as, and what that account may do, the
//! cluster tells.

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use crate::cluster::{creating_token_reviews, getting_namespaces};
use crate::model::AUTH_DELEGATOR;
use crate::names::ServiceAccountRef;
use crate::verify::facts::cluster::{AccountsOfVaultsPods, VAULTS_PODS};
use crate::verify::facts::{Known, Knows, all};
use crate::verify::finding::{Finding, list};
use crate::verify::links::kubernetes::{let_review, without_a_token};
use crate::verify::links::mount::unread;
use crate::verify::links::namespaces::let_get;
use crate::verify::scene::MountScene;

/// The accounts that Vault's pods run as.
///
/// # Errors
/// What there is to say where none can be seen.
fn accounts(mount: &MountScene) -> Known<Result<&[ServiceAccountRef], Finding>> {
    if mount.cluster.connected().is_none() {
        return Ok(Err(Finding::skipped("the cluster can't be reached from here")));
    }
    Ok(match mount.facts().get(&AccountsOfVaultsPods { cluster: mount.cluster.name.clone() })? {
        Err(error) => Err(Finding::unseen_because(error)),
        Ok(accounts) if accounts.is_empty() => Err(Finding::unseen(format!(
            "no pod of Vault was found in this cluster ({VAULTS_PODS}), so that it isn't seen whose token Vault takes; the login will tell"
        ))),
        Ok(accounts) => Ok(accounts),
    })
}

fn named(accounts: &[ServiceAccountRef]) -> String {
    list(accounts.iter().map(ToString::to_string).collect::<Vec<_>>().iter().map(String::as_str))
}

pub(super) fn exists(mount: &MountScene) -> Known<Finding> {
    Ok(match accounts(mount)? {
        Err(finding) => finding,
        Ok(accounts) => Finding::passed(format!("Vault's pods run as {}", named(accounts))),
    })
}

/// What accounts may do, by the cluster's answers.
struct Asked {
    may: Vec<ServiceAccountRef>,
    forbidden: Vec<ServiceAccountRef>,
    /// Those of whom that may not be asked.
    unasked: Vec<ServiceAccountRef>,
}

impl Asked {
    fn of(mount: &MountScene, accounts: &[ServiceAccountRef], what: &ResourceAttributes) -> Known<Self> {
        let asked = accounts.iter().map(|account| mount.cluster.may(account, what.clone()));
        let allowed: Vec<Option<bool>> = all(asked)?;
        let with = |answer: Option<bool>| -> Vec<ServiceAccountRef> {
            let with_it = accounts.iter().zip(&allowed).filter(|(_, may)| **may == answer);
            with_it.map(|(account, _)| account.clone()).collect()
        };
        Ok(Self { may: with(Some(true)), forbidden: with(Some(false)), unasked: with(None) })
    }
}

fn not_asked(accounts: &[ServiceAccountRef], what: &str) -> Finding {
    Finding::unseen(format!("whether {} may {what} could not be asked", named(accounts)))
        .to_do("grant who runs this: create on subjectaccessreviews.authorization.k8s.io")
}

pub(super) fn rights(mount: &MountScene) -> Known<Finding> {
    let accounts = match accounts(mount)? {
        Ok(accounts) => accounts,
        Err(finding) => return Ok(finding),
    };
    let Asked { may, forbidden, unasked } = Asked::of(mount, accounts, &creating_token_reviews())?;
    if !may.is_empty() {
        return namespaces(mount, &may);
    }
    if !unasked.is_empty() {
        return Ok(not_asked(&unasked, "review tokens"));
    }
    let finding = Finding::failed(format!("Vault's pods run as {}, which may not review tokens", named(&forbidden)))
        .with("it needs", format!("the ClusterRole {AUTH_DELEGATOR}"))
        .why("the API server answers Vault's review with 403, and Vault the login with a bare `permission denied`");
    Ok(if let [account] = forbidden.as_slice() {
        finding.run("let it review tokens, if that is the Vault of this mount", let_review(mount, account))
    } else {
        // Another Vault's account needs no such right.
        finding.to_do("bind the account of this mount's Vault to that ClusterRole, and no other's")
    })
}

/// Whether some of the accounts, which may review, may read the labels of namespaces too, where a role selects some.
fn namespaces(mount: &MountScene, reviewing: &[ServiceAccountRef]) -> Known<Finding> {
    if !mount.reviewer.as_ref().is_some_and(|reviewer| reviewer.reads_namespaces) {
        return Ok(Finding::passed(format!("{} may create tokenreviews", named(reviewing))));
    }
    let Asked { may, forbidden, unasked } = Asked::of(mount, reviewing, &getting_namespaces(None))?;
    if !may.is_empty() {
        return Ok(Finding::passed(format!("{} may create tokenreviews, and get namespaces", named(&may))));
    }
    if !unasked.is_empty() {
        return Ok(not_asked(&unasked, "get namespaces"));
    }
    let finding = Finding::failed(format!(
        "Vault's pods run as {}, which may not get namespaces, and roles select them by their labels",
        named(&forbidden)
    ))
    .with("it needs", "get on namespaces, beside the ClusterRole system:auth-delegator")
    .why("Vault reads the labels with the token of its pod; every login by them ends with `namespace not authorized`");
    Ok(if let [account] = forbidden.as_slice() {
        let name = format!("{}-{}-namespaces", account.namespace, account.name);
        finding.run("let it get them, if that is the Vault of this mount", let_get(mount, &name, account))
    } else {
        finding.to_do("let the account of this mount's Vault get namespaces, and no other's")
    })
}

pub(super) fn in_vault(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.kubernetes_config()? else { return Ok(unread()) };
    let wrong = |detail: &str, has: &str| {
        without_a_token(mount, Finding::failed(detail).with("the reviewer's token", "local").with("the mount has", has))
    };
    Ok(if config.token_reviewer_jwt_set == Some(true) {
        wrong("Vault has a reviewer's token, where that of its own pod is meant", "token_reviewer_jwt_set: true")
    } else if config.disable_local_ca_jwt {
        wrong("Vault may not take the token of its own pod, which is meant to review", "disable_local_ca_jwt: true")
    } else {
        Finding::passed("none: it takes that of its own pod, which only a login shows")
    })
}

/// What remains where Vault refuses a login at such a mount without a word.
pub(super) fn remains(finding: Finding, host: &str) -> Finding {
    finding
        .with("remains", format!("the account of Vault's pod may not review tokens (ClusterRole {AUTH_DELEGATOR})"))
        .with(
            "remains",
            "Vault runs in another cluster, or in no pod: then it takes another token, or presents the one that logs in",
        )
        .with("remains", format!("Vault can't reach {host} from where it runs, or knows its CA by no pod's"))
        .why("the cause is in the server's log alone (at level debug): `login unauthorized`, with the API server's words")
        .to_do("where Vault isn't in a pod of this cluster, set up a reviewer: `auth.reviewer.token: secret` or `bound`")
}
