//! Who must be refused: tokens for another audience, other service accounts, and tokens that nobody signed. Each is
//! tried; what is let in is logged out again at once, and is the worst that can be found.

use crate::model::RoleDocument;
use crate::names::ServiceAccountRef;
use crate::vault::VaultError;
use crate::verify::binding::lists;
use crate::verify::catalogue::{LOGIN_LIMITS, OTHER_ACCOUNT, OTHER_AUDIENCE, OTHER_NAMESPACE, UNKNOWN_KEY};
use crate::verify::facts::cluster::Accounts;
use crate::verify::facts::login::{LetIn, Stranger, StrangersLogin};
use crate::verify::facts::{Known, Knows, all};
use crate::verify::finding::Finding;
use crate::verify::links::by_file;
use crate::verify::links::login::told_of_the_end;
use crate::verify::links::role::path_of;
use crate::verify::scene::RoleScene;
use crate::verify::selected;
use crate::verify::walk::{Row, row};

/// The tries that must fail.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[
    row!(OTHER_AUDIENCE, other_audience),
    row!(OTHER_ACCOUNT, other_account),
    row!(OTHER_NAMESPACE, other_namespace),
    row!(UNKNOWN_KEY, unknown_key),
];

/// Where the own login was not accepted, that of a stranger proves nothing by being refused.
const NOT_COMPARABLE: &str = "the role's own login was not tried, so that a refusal would prove nothing";

/// Whose token may be tried: nobody's, where the role's own login was not tried.
fn ready(scene: &RoleScene) -> Known<Result<&ServiceAccountRef, Finding>> {
    if scene.logged_in()?.is_none() {
        return Ok(Err(Finding::skipped(NOT_COMPARABLE)));
    }
    Ok(match (scene.mount.cluster.connected(), &scene.account) {
        (Some(_), Some(account)) => Ok(account),
        _ => Err(Finding::skipped("there is nobody to borrow a token of")),
    })
}

/// Tries to log in; `shown` says as what.
fn must_be_refused(scene: &RoleScene, shown: &str, stranger: Stranger) -> Known<Finding> {
    let tried = match scene.facts().get(&StrangersLogin { consumer: scene.consumer(), stranger })? {
        Ok(tried) => tried,
        Err(error) => return Ok(Finding::unseen_because(error)),
    };
    Ok(match tried {
        Ok(LetIn { info, ended }) => {
            let finding = Finding::failed(format!("Vault lets in {shown}"))
                .with("it gave a token with", info.token_policies.join(", "))
                .with("what became of that token", told_of_the_end(info, ended).detail)
                .why("whoever has such a token reads what was meant for the role's own service accounts");
            match by_file::role(scene, "`serviceAccounts`, `audience` and `allowGlobs` of the role")? {
                Some(remedy) => finding.mend([remedy]),
                None => finding.to_do(format!(
                    "bind the role to its audience and to its service accounts: {} shows it",
                    scene.mount.vault.cli().read(&path_of(scene)).shown()
                )),
            }
        }
        Err(error @ VaultError::SecondFactor { .. }) => Finding::failed(format!(
            "Vault lets in {shown}, but for a second factor"
        ))
        .with("the server says", error.to_string())
        .why("the role takes whoever has such a token: what keeps them out is an enforcement that anybody may change")
        .mend(by_file::role(scene, "`serviceAccounts` and `audience` of the role")?)
        .to_do("bind the role to its audience and to its service accounts"),
        // One cause is told once.
        Err(error) if error.limit().is_some() => {
            Finding::not_reached(format!("{} has to hold first: {error}", LOGIN_LIMITS.id))
        }
        // What is no refusal says nothing about the token, so that nobody knows who is let in.
        Err(error) if error.is_refusal() => Finding::passed(format!("{shown} is refused")),
        Err(error) => Finding::failed(format!("whether {shown} is refused was not tried: {error}"))
            .why("a test that was not made proves nothing, and the role's own login, a moment before, was answered")
            .to_do("run it again once Vault answers logins; what is between here and Vault may limit them"),
    })
}

fn other_audience(scene: &RoleScene) -> Known<Finding> {
    if let Err(finding) = ready(scene)? {
        return Ok(finding);
    }
    if scene.expected.as_ref().is_some_and(|role| role.audiences.is_empty()) {
        return Ok(Finding::skipped("the role is meant to take any audience (anyAudience)"));
    }
    let Some(other) = Stranger::of_nobodys_audience() else {
        return Ok(Finding::skipped("there is no other audience"));
    };
    let shown = "a token that was made for somebody else (another audience)";
    must_be_refused(scene, shown, other)
}

/// Whether the role is meant to take an account.
fn is_meant(scene: &RoleScene, account: &ServiceAccountRef) -> Known<bool> {
    if scene.account.as_ref() == Some(account) {
        return Ok(true);
    }
    let Some(role) = &scene.expected else {
        // Without a file, whom the role in Vault lists is meant.
        return Ok(scene.held()?.is_some_and(|document| lists(document, account)));
    };
    // What can't be seen is not taken for wrong.
    if let Some(labelled) = &role.labelled
        && selected::takes(&scene.mount.cluster, labelled, account)?.unwrap_or(true)
    {
        return Ok(true);
    }
    let patterns = || role.allow_globs || role.account_patterns.iter().any(|pattern| pattern.matches(account));
    Ok(role.service_accounts.contains(account) || patterns())
}

/// Those of the accounts that the role is not meant to take.
fn strangers<'a>(
    scene: &RoleScene,
    accounts: impl Iterator<Item = &'a ServiceAccountRef>,
) -> Known<Vec<&'a ServiceAccountRef>> {
    let judged = accounts.map(|account| Ok((account, is_meant(scene, account)?)));
    let judged: Vec<_> = all(judged)?;
    Ok(judged.into_iter().filter(|(_, meant)| !meant).map(|(account, _)| account).collect())
}

/// Whether accounts are bound by more than their names, so that a stranger may be meant: by the file, or without one by the
/// role in Vault.
fn by_claims(scene: &RoleScene) -> Known<bool> {
    if let Some(role) = &scene.expected {
        let names_nobody = role.service_accounts.is_empty() && role.labelled.is_none();
        return Ok(names_nobody || role.allow_globs);
    }
    Ok(matches!(
        scene.held()?,
        Some(RoleDocument::Jwt(role))
            if role.bound_subject.is_empty() && !role.bound_claims.is_empty() && !role.bound_claims.contains_key("sub")
    ))
}

fn borrowed(scene: &RoleScene, stranger: Option<&ServiceAccountRef>) -> Known<Finding> {
    let Some(stranger) = stranger else { return Ok(Finding::skipped("there is none to borrow")) };
    must_be_refused(scene, &format!("the service account {stranger}"), Stranger::Account(stranger.clone()))
}

fn other_account(scene: &RoleScene) -> Known<Finding> {
    let account = match ready(scene)? {
        Ok(account) => account,
        Err(finding) => return Ok(finding),
    };
    if by_claims(scene)? {
        return Ok(Finding::skipped("the role is meant to take others as well"));
    }
    let (cluster, namespace) = (scene.mount.cluster.name.clone(), Some(account.namespace.clone()));
    let Ok(listed) = scene.facts().get(&Accounts { cluster, namespace })? else {
        return Ok(Finding::unseen("the service accounts of the namespace can't be listed")
            .to_do("grant who runs this: list on serviceaccounts"));
    };
    let strangers = strangers(scene, listed.iter())?;
    borrowed(scene, strangers.first().copied())
}

fn other_namespace(scene: &RoleScene) -> Known<Finding> {
    let account = match ready(scene)? {
        Ok(account) => account,
        Err(finding) => return Ok(finding),
    };
    if by_claims(scene)? {
        return Ok(Finding::skipped("the role is meant to take others as well"));
    }
    let Ok(listed) = scene.facts().get(&Accounts { cluster: scene.mount.cluster.name.clone(), namespace: None })?
    else {
        return Ok(Finding::unseen("the service accounts of other namespaces can't be listed")
            .to_do("grant who runs this: list on serviceaccounts, in all namespaces"));
    };
    let elsewhere = strangers(scene, listed.iter().filter(|other| other.namespace != account.namespace))?;
    // One of the same name is the stranger that a loose role would take first.
    let stranger = elsewhere.iter().find(|other| other.name == account.name).or(elsewhere.first()).copied();
    borrowed(scene, stranger)
}

fn unknown_key(scene: &RoleScene) -> Known<Finding> {
    if scene.logged_in()?.is_none() {
        return Ok(Finding::skipped(NOT_COMPARABLE));
    }
    if scene.token()?.is_err() {
        return Ok(Finding::skipped("there is no token"));
    }
    must_be_refused(scene, "a token with a signature that no key of the cluster made", Stranger::Unsigned)
}
