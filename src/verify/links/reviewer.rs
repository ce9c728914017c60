//! Who reviews tokens for a `kubernetes` mount: is it there, may it, and does Vault have its token?

use crate::cluster::{Way, creating_token_reviews, getting_namespaces};
use crate::config::{Reviewer, ReviewerToken};
use crate::fix::Command;
use crate::model::{AUTH_DELEGATOR, ObservedBinding, ObservedReviewer, Record, record_key, span};
use crate::verify::catalogue::{REVIEWER, REVIEWER_IN_VAULT, REVIEWER_ONLY, REVIEWER_RIGHTS};
use crate::verify::facts::cluster::DelegatedReviewers;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy, Weight, sentence, shortened};
use crate::verify::links::kubernetes::{bootstrap, without_a_token};
use crate::verify::links::local_reviewer;
use crate::verify::links::mount::{context_first, unread};
use crate::verify::links::namespaces::let_get;
use crate::verify::scene::{MountScene, Source};
use crate::verify::walk::{Row, row};

/// The checks of a `kubernetes` mount's reviewer.
pub(in crate::verify) const ROWS: &[Row<MountScene>] = &[
    row!(REVIEWER, reviewer),
    row!(REVIEWER_RIGHTS, rights),
    row!(REVIEWER_IN_VAULT, in_vault),
    row!(REVIEWER_ONLY, only),
];

/// Sets the reviewer up again; where the mount asks another server than the one that was looked at, the context may be wrong.
fn set_up(mount: &MountScene, finding: Finding) -> Known<Finding> {
    let asks = mount.kubernetes_config()?.map(|config| config.kubernetes_host.as_str());
    let here = mount.cluster.connected().map(Way::server);
    let finding = if asks == here { finding } else { context_first(mount, finding) };
    let remedy = bootstrap(mount);
    let text = match &mount.source {
        _ if mount.keepers().is_some() => remedy.text,
        Source::File { .. } => "let the cluster have what the file says".to_owned(),
        Source::Flags { .. } | Source::Bootstrap => remedy.text,
    };
    Ok(finding.mend([Remedy { text, ..remedy }]))
}

/// Whether Vault reviews with the token of its own pod.
pub(super) fn is_vaults_own(mount: &MountScene) -> bool {
    mount.reviewer.as_ref().is_some_and(|reviewer| reviewer.token == ReviewerToken::Local)
}

/// What needs a reviewer that is known, and what there is of it.
fn known(mount: &MountScene) -> Known<Result<(&Reviewer, &ObservedReviewer), Finding>> {
    let Some(reviewer) = &mount.reviewer else {
        return Ok(Err(Finding::skipped(format!(
            "nothing here says who reviews tokens for Vault; name it with {}",
            mount.naming_the_reviewer()
        ))));
    };
    match &reviewer.token {
        ReviewerToken::Secret | ReviewerToken::Bound => {}
        ReviewerToken::Client => return Ok(Err(Finding::passed("the token that logs in reviews itself"))),
        ReviewerToken::Local => {
            return Ok(Err(Finding::skipped("whatever account Vault's pod runs as, it is Vault's own")));
        }
        ReviewerToken::File(_) | ReviewerToken::Environment(_) => {
            let source = reviewer.token_source();
            return Ok(Err(Finding::skipped(format!(
                "it is {source}: whose, and what it may do, the mount's host knows"
            ))));
        }
    }
    Ok(match mount.observed_reviewer()? {
        None => Err(Finding::skipped("the cluster can't be reached from here")),
        Some(Err(error)) if error.is_forbidden() => Err(Finding::unseen_because(error)),
        Some(Err(error)) => Err(Finding::error(error)),
        Some(Ok(observed)) => Ok((reviewer, observed)),
    })
}

fn reviewer(mount: &MountScene) -> Known<Finding> {
    if is_vaults_own(mount) {
        return local_reviewer::exists(mount);
    }
    let (reviewer, observed) = match known(mount)? {
        Ok(known) => known,
        Err(finding) => return Ok(finding),
    };
    let account = &reviewer.service_account;
    let why =
        "Vault reviews every login with this account's token; without it, logins end with a bare `permission denied`";
    if observed.account.is_none() {
        let finding = Finding::failed(format!("the reviewer {account} does not exist")).why(why);
        let finding = if mount.source.is_flags() {
            with_reviewers(mount, finding)?.to_do("name the account whose token Vault has: --reviewer NAMESPACE/NAME")
        } else {
            finding
        };
        return set_up(mount, finding);
    }
    if reviewer.token != ReviewerToken::Secret {
        return Ok(Finding::passed(format!("{account} exists")));
    }
    let name = format!("{}/{}", account.namespace, reviewer.secret_name);
    Ok(match &observed.secret {
        None => {
            let finding = Finding::failed(format!("the reviewer's Secret {name} does not exist"))
                .why("its token ends with it: the API server knows it no longer");
            set_up(mount, finding)?
        }
        Some(secret) if !secret.belongs_to(account) => {
            let finding = Finding::failed(format!("the Secret {name} is no token of {account}"))
                .with("its type", secret.kind.clone())
                .with("it belongs to", secret.account.clone().unwrap_or_else(|| "nobody".to_owned()))
                .why(why);
            set_up(mount, finding)?
        }
        Some(secret) if secret.token.is_none() => {
            Finding::failed(format!("the Secret {name} was never filled with a token"))
                .why(why)
                .to_do("look whether the cluster's controller manager runs: it fills such Secrets")
                .mend([mount.in_its_file("or write `token: bound` for the reviewer, which needs no Secret")])
        }
        Some(_) => Finding::passed(format!("{account} exists, and Secret {name} holds its token")),
    })
}

fn rights(mount: &MountScene) -> Known<Finding> {
    if is_vaults_own(mount) {
        return local_reviewer::rights(mount);
    }
    let (reviewer, observed) = match known(mount)? {
        Ok(known) => known,
        Err(finding) => return Ok(finding),
    };
    let account = &reviewer.service_account;
    let bound = observed.binding.as_ref().is_some_and(|binding| binding.delegates() && binding.has(account));
    let allowed = mount.cluster.may(account, creating_token_reviews())?;
    if allowed.unwrap_or(bound) {
        return namespaces(mount, reviewer, observed);
    }
    if allowed.is_none() && observed.binding.is_none() {
        return Ok(Finding::unseen(format!("whether {account} may review tokens could not be asked"))
            .to_do("grant who runs this: create on subjectaccessreviews.authorization.k8s.io"));
    }
    let name = &reviewer.binding_name;
    let binding = observed.binding.as_ref();
    let finding = Finding::failed(format!("{account} may not review tokens"))
        .with("it needs", format!("the ClusterRole {AUTH_DELEGATOR}"))
        .with(
            "the binding",
            match binding {
                None => format!("there is no {name}"),
                Some(binding) if !binding.delegates() => format!("{name} gives {}", binding.role),
                Some(_) if bound => format!("{name} gives it to this account"),
                Some(_) => format!("{name} gives it to others"),
            },
        )
        .why("the API server answers Vault's review with 403, and Vault the login with a bare `permission denied`");
    let by_hand = bind(mount, reviewer, binding);
    Ok(match binding {
        // What a binding gives can't be changed: a bootstrap leaves it alone.
        Some(binding) if !binding.delegates() => finding
            .run("bind it by another binding", by_hand)
            .mend([mount.in_its_file("or name another with `bindingName` of the reviewer")]),
        Some(_) if bound => finding.to_do(format!(
            "the binding is in order: look what the ClusterRole {AUTH_DELEGATOR} allows, and what else decides about rights in the cluster"
        )),
        _ => set_up(mount, finding)?.run("or bind it by hand", by_hand),
    })
}

/// Whether a reviewer, who may review, may read the labels of namespaces too, where a role selects some.
fn namespaces(mount: &MountScene, reviewer: &Reviewer, observed: &ObservedReviewer) -> Known<Finding> {
    let account = &reviewer.service_account;
    let passed = |more: &str| Ok(Finding::passed(format!("{account} may create tokenreviews{more}")));
    if !reviewer.reads_namespaces {
        return passed("");
    }
    let name = reviewer.namespaces_name();
    let given = observed.namespaces.as_ref().is_some_and(|rights| rights.are_there(&name, account));
    // What is asked now counts before what was seen of the objects.
    match mount.cluster.may(account, getting_namespaces(None))? {
        Some(true) => return passed(", and get namespaces"),
        None if given => return passed(", and is bound to what lets it get namespaces"),
        None => {
            return Ok(Finding::unseen(format!("whether {account} may get namespaces could not be asked"))
                .to_do("grant who runs this: create on subjectaccessreviews.authorization.k8s.io"));
        }
        Some(false) => {}
    }
    let finding = Finding::failed(format!("{account} may not get namespaces, and roles select them by their labels"))
        .with("it needs", "get on namespaces, beside the ClusterRole system:auth-delegator")
        // A login of an account that a role names shows nothing of it.
        .weighing(Weight::Stands)
        .why("Vault reads the labels with the reviewer's token; every login by them ends with `namespace not authorized`");
    let by_hand = let_get(mount, &name, account);
    Ok(set_up(mount, finding)?.run("or let it get them by hand", by_hand))
}

/// Adds who may review tokens in the cluster: one of these is the reviewer, if there is one.
pub(super) fn with_reviewers(mount: &MountScene, finding: Finding) -> Known<Finding> {
    let who = match mount.cluster.connected() {
        None => "the cluster can't be reached from here".to_owned(),
        Some(_) => match mount.facts().get(&DelegatedReviewers { cluster: mount.cluster.name.clone() })? {
            Ok(accounts) => shortened(&accounts.iter().cloned().collect::<Vec<_>>()),
            Err(error) => sentence(error),
        },
    };
    Ok(finding.with(format!("service accounts that may review tokens (ClusterRole {AUTH_DELEGATOR})"), who))
}

/// The command that lets the reviewer review, by the binding that is there where it gives the role.
fn bind(mount: &MountScene, reviewer: &Reviewer, there: Option<&ObservedBinding>) -> Command {
    let (account, name) = (&reviewer.service_account, &reviewer.binding_name);
    let kubectl = mount.cluster.kubectl();
    match there {
        Some(binding) if binding.delegates() => kubectl.add_subject(name, account),
        Some(_) => kubectl.bind(&format!("{name}-tokenreview"), AUTH_DELEGATOR, account),
        None => kubectl.bind(name, AUTH_DELEGATOR, account),
    }
}

fn in_vault(mount: &MountScene) -> Known<Finding> {
    if is_vaults_own(mount) {
        return local_reviewer::in_vault(mount);
    }
    let Some(config) = mount.kubernetes_config()? else { return Ok(unread()) };
    let Some(reviewer) = &mount.reviewer else {
        return Ok(Finding::skipped("nothing here says who reviews tokens for Vault"));
    };
    if reviewer.token == ReviewerToken::Client {
        return Ok(match config.token_reviewer_jwt_set {
            Some(true) => {
                let finding =
                    Finding::failed("Vault has a reviewer's token, where the token that logs in should review itself")
                        .with("the reviewer's token", "client")
                        .with("the mount has", "token_reviewer_jwt_set: true");
                without_a_token(mount, finding)
            }
            _ => Finding::passed("none, as it should be"),
        });
    }
    if config.token_reviewer_jwt_set == Some(false) {
        let finding = Finding::failed("Vault has no reviewer's token")
            .with("the mount has", "token_reviewer_jwt_set: false")
            .why("a write of the mount's configuration that leaves `token_reviewer_jwt` out erases it")
            .mend([bootstrap(mount)]);
        return Ok(if mount.source.is_flags() {
            finding.to_do("or say that the token that logs in is meant to review itself: --reviewer-token client")
        } else {
            finding
        });
    }
    let record = match (known(mount)?, mount.listed()?) {
        (Ok((_, observed)), Some(listed)) => record_of(observed, &record_key(mount.vault.address(), &listed.accessor)),
        _ => None,
    };
    let Some(record) = record else {
        return Ok(match config.token_reviewer_jwt_set {
            Some(_) => Finding::passed("it has one; which one only a login shows"),
            None => Finding::unseen("this server doesn't say whether it has one; the login will tell"),
        });
    };
    let now = u64::try_from(mount.facts().began.as_second()).unwrap_or_default();
    Ok(match record.expires {
        Some(expires) if expires <= now => Finding::failed(format!(
            "the reviewer's token that Vault was given expired {} ago",
            span(now - expires)
        ))
        .why("the API server answers Vault's review with 401, and Vault the login with a bare `permission denied`")
        .mend([bootstrap(mount)])
        .to_do("and bootstrap on a schedule: that renews the token when less than a third of its life is left"),
        Some(expires) if record.runs_out(now) => {
            Finding::warning(format!("the reviewer's token that Vault was given expires in {}", span(expires - now)))
                .mend([bootstrap(mount)])
        }
        given => {
            let life = given
                .map_or_else(|| "doesn't expire".to_owned(), |expires| format!("expires in {}", span(expires - now)));
            // Whoever wrote the configuration since may have given it another.
            Finding::passed(match config.token_reviewer_jwt_set {
                Some(_) => {
                    format!("Vault has one, which one only a login shows; the last that vaultk8s gave it {life}")
                }
                None => format!(
                    "the last that vaultk8s gave it {life}; whether Vault still has that one only a login shows"
                ),
            })
        }
    })
}

/// What the reviewer may do beside reviewing, and who else reviews by its binding: all of that is somebody else's, and only told.
fn only(mount: &MountScene) -> Known<Finding> {
    let (reviewer, observed) = match known(mount)? {
        Ok(known) => known,
        Err(finding) => return Ok(finding),
    };
    let (account, name) = (&reviewer.service_account, &reviewer.binding_name);
    let binding = observed.binding.as_ref().filter(|binding| binding.delegates());
    let others = binding.map(|binding| binding.others(account)).unwrap_or_default();
    let powers = observed.powers.as_deref();
    let shared = |others: &[String]| {
        format!("the ClusterRoleBinding {name} gives {AUTH_DELEGATOR} to others as well: {}", others.join(", "))
    };
    let mut said = Vec::new();
    if let Some(powers) = powers.filter(|powers| !powers.is_empty()) {
        said.push(format!("{account} may also {}", powers.join(", ")));
    }
    if !others.crowds.is_empty() {
        said.push(shared(&others.crowds));
    }
    // Who is named one by one was meant by somebody.
    let single = (!others.single.is_empty()).then(|| shared(&others.single));
    if said.is_empty() {
        let told = |text: String| std::iter::once(text).chain(single).collect::<Vec<_>>().join("; ");
        return Ok(match powers {
            Some(_) => Finding::passed(told(format!("{account} may do nothing else of what was asked"))),
            None => {
                Finding::unseen(told(format!("whether {account} may do more than review tokens could not be asked")))
                    .to_do("grant who runs this: create on subjectaccessreviews.authorization.k8s.io")
            }
        });
    }
    said.extend(single);
    let mut finding = Finding::warning(said.join("; "));
    if powers.is_some_and(|powers| !powers.is_empty()) {
        finding = finding
            .why("Vault has this account's token: whoever gets at it there may do the same in the cluster")
            .to_do(format!(
                "take every binding but the one to {AUTH_DELEGATOR} from it, or make an account for Vault alone and name it: \
                 `reviewer.serviceAccount`"
            ));
    } else {
        finding = finding.why("they may have the API server tell whose a token is, and what anybody may do");
    }
    if !others.crowds.is_empty() {
        finding = finding.to_do(format!(
            "where that isn't meant, remove them: {}",
            mount.cluster.kubectl().run("edit clusterrolebinding").name(name).shown()
        ));
    }
    Ok(finding)
}

/// What is remembered on the reviewer's account of the token that this mount was given.
fn record_of(observed: &ObservedReviewer, key: &str) -> Option<Record> {
    serde_json::from_str(observed.account.as_ref()?.get(key)?).ok()
}
