//! A login that was made, and that nobody told what it may do: neither it itself was, nor the operator in its place.
//!
//! That proves nothing, and whoever may write one of its policies can bring it about. What the policies say that could be read is compared
//! all the same.

use std::borrow::Cow;

use crate::error::Error;
use crate::policy::{Acl, Capability, Verdict};
use crate::vault::{CapabilitiesByPath, VaultError};
use crate::verify::capabilities::Unasked;
use crate::verify::catalogue::GRANTED;
use crate::verify::facts::login::LooksItselfUp;
use crate::verify::facts::{Known, Knows, some};
use crate::verify::finding::{Finding, Status, list, sentence};
use crate::verify::links::asked::{capabilities, paths};
use crate::verify::links::compared::compared;
use crate::verify::scene::RoleScene;

/// What a token asks to know what it may do.
const ASK: &str = "sys/capabilities-self";

/// Whether the server answered, and did not do it. A policy under an impossible name makes every request of a token an internal error;
/// that this is the token's and not the server's, the operator's own requests show.
fn is_turned_away(error: &VaultError) -> bool {
    error.is_refusal() || matches!(error, VaultError::Rejected { status: 500, errors, .. } if !errors.is_empty())
}

/// Why nobody was told. Without a file it is left at that, where other credentials would do.
pub(super) fn unasked(scene: &RoleScene, why: &Unasked) -> Known<Finding> {
    Ok(match why {
        Unasked::ByItself(error) if is_turned_away(error) => refused(scene, error)?,
        Unasked::ByItself(error) => Finding::error(&Error::from(error.clone())),
        Unasked::InItsPlace { error, .. } if scene.mount.source.is_flags() => Finding::unseen_because(error),
        Unasked::InItsPlace { forbidden, error } => not_told(scene, *forbidden, error)?,
    })
}

/// What the login's policies give on the paths that the server would be asked about, as far as they could be read; `None` where none of
/// them is in force.
fn told_by_policies(scene: &RoleScene, why: &Unasked) -> Known<Option<CapabilitiesByPath>> {
    if matches!(why, Unasked::ByItself(error) if is_turned_away(error)) {
        return Ok(None);
    }
    let acl = Acl::new(some!(compared(scene)?).held.all().map(|(_, policy)| policy));
    let words = |verdict: Verdict| match verdict {
        Verdict::Known(all) => all.iter().map(ToString::to_string).collect(),
        Verdict::Unknown => Vec::new(),
    };
    Ok(Some(paths(scene)?.into_iter().map(|path| (path.clone(), words(acl.capabilities(&path)))).collect()))
}

/// What the login may do: as the server says, and where nobody was told, as the policies say.
pub(super) struct Told<'a> {
    /// The capabilities on each path that was to be asked about.
    pub(super) actual: Cow<'a, CapabilitiesByPath>,
    /// Why nobody was told.
    unasked: Option<&'a Unasked>,
}

impl Told<'_> {
    /// What a check found by it, as far as that can be relied on.
    pub(super) fn judged(&self, scene: &RoleScene, finding: Finding) -> Finding {
        match self.unasked {
            Some(why) => by_policies(scene, why, Some(finding)),
            None => finding,
        }
    }
}

/// What the login may do; a finding where there is no login, or nobody can say.
pub(super) fn told(scene: &RoleScene) -> Known<Result<Told<'_>, Finding>> {
    Ok(match capabilities(scene)? {
        None => Err(Finding::skipped("nobody logged in")),
        Some(Ok(actual)) => Ok(Told { actual: Cow::Borrowed(actual), unasked: None }),
        Some(Err(why)) => match told_by_policies(scene, why)? {
            Some(actual) => Ok(Told { actual: Cow::Owned(actual), unasked: Some(why) }),
            None => Err(by_policies(scene, why, None)),
        },
    })
}

/// A check that was made by what the policies say in place of the server: what fails by them fails, and all else is not proved.
fn by_policies(scene: &RoleScene, why: &Unasked, judged: Option<Finding>) -> Finding {
    match (judged, why) {
        (Some(finding), _) if finding.status == Status::Failed => {
            finding.with("how that is known", "by its policies; the server could not be asked")
        }
        (_, Unasked::InItsPlace { error, .. }) if scene.mount.source.is_flags() => Finding::unseen_because(error),
        _ => Finding::not_reached(format!("{} has to hold first", GRANTED.id)),
    }
}

/// Not for want of a rule: no policy of such a token can be put into force, so that whatever it asks is refused.
fn refused(scene: &RoleScene, error: &VaultError) -> Known<Finding> {
    let finding = Finding::error(&Error::from(error.clone()));
    let Some(login) = scene.logged_in()? else { return Ok(finding) };
    let all = match scene.facts().get(&LooksItselfUp(scene.consumer()))? {
        Err(other) if is_turned_away(other) => {
            format!(
                "the login works, and Vault refuses whatever its token asks: {}",
                sentence(&Error::from(error.clone()))
            )
        }
        _ => return Ok(finding.why("the login works, and it isn't known what it may do")),
    };
    let finding = Finding::failed(all)
        .why("where one of a token's policies can't be put into force, none of them is: whoever logs in reads nothing");
    let names: Vec<&str> =
        login.token_policies.iter().chain(login.identity_policies.iter().flatten()).map(String::as_str).collect();
    let mut finding = finding.with("its policies", list(names.iter().copied()));
    let mut templates = Vec::new();
    for name in &names {
        let Some(policy) = scene.mount.vault.policy(name)? else { continue };
        let of_policy = policy.rules().iter().map(|rule| rule.path.as_str()).filter(|path| path.contains("{{"));
        templates.extend(of_policy.filter(|path| path.contains("identity.")).map(|path| format!("{path} of {name}")));
    }
    let entity = scene.mount.vault.cli().read(&format!("identity/entity/id/{}", login.entity_id)).shown();
    if matches!(error, VaultError::Rejected { status: 400, .. }) {
        // The policy `default`, as it comes, has templates of ids, which can't do that.
        templates.retain(|path| !path.ends_with(" of default"));
        if !templates.is_empty() {
            finding = finding.with("the templates of its policies", templates.join(", "));
        }
        return Ok(finding.to_do(format!(
            "correct the value that fills a template of its policies: one with `/`, `*` or `+` is refused, and the token with it \
             ({entity}, and its groups)"
        )));
    }
    Ok(finding
        .to_do(format!("take from the login what is no name of a policy: {entity} and its groups show what they add"))
        .to_do("look at what the server's log says of it"))
}

/// The login was not told, and neither was the operator in its place.
fn not_told(scene: &RoleScene, forbidden: bool, error: &Error) -> Known<Finding> {
    let own = if forbidden { "it may not ask" } else { "it has no use to spare for asking" };
    let finding = Finding::failed(format!(
        "nobody could be told what the login may do: {own}, and for the operator {}",
        sentence(error)
    ))
    .why("what isn't known is not in order: whoever may write one of its policies can forbid the question, and grant anything else");
    let mut finding = error.remedies().into_iter().fold(finding, Finding::to_do);
    let held = compared(scene)?.map(|compared| &compared.held);
    for (name, policy) in held.iter().flat_map(|held| &held.policies).filter(|_| forbidden) {
        let acl = Acl::new([policy]);
        if let Some(rule) = acl.denying(ASK) {
            finding = finding
                .with(format!("the rule of {name}"), format!("{} on {rule}", Capability::Deny))
                .to_do(format!("or take that rule out of the policy {name}, if it isn't there on purpose"));
        }
    }
    Ok(finding)
}
