//! The configuration of a `kubernetes` mount, against the cluster: its issuer, host and CA.

use crate::fix::{Command, vaultk8s};
use crate::keys::PublicKey;
use crate::model::{AUTH_DELEGATOR, AuthMethod, KubernetesConfig};
use crate::names::ServiceAccountRef;
use crate::verify::catalogue::{HOST, HOST_CLUSTER, ISSUER, KEYS};
use crate::verify::facts::login::KnowsReviewer;
use crate::verify::facts::network::Connects;
use crate::verify::facts::review::Connecting;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy, Weight};
use crate::verify::links::jwt::{compare_issuers, named};
use crate::verify::links::mount::{context_first, correct, remake, unread};
use crate::verify::links::pinned_keys::NO_KEY;
use crate::verify::scene::MountScene;
use crate::verify::walk::{Row, row};

/// The checks of a `kubernetes` mount's configuration; those of its reviewer follow.
pub(in crate::verify) const ROWS: &[Row<MountScene>] =
    &[row!(ISSUER, issuer), row!(KEYS, keys), row!(HOST, host), row!(HOST_CLUSTER, host_is_this_cluster)];

/// The fields that say whom the mount asks about tokens.
const HOST_AND_CA: &[&str] = &["kubernetes_host", "kubernetes_ca_cert"];

pub(super) fn bootstrap(mount: &MountScene) -> Remedy {
    remake(mount, AuthMethod::Kubernetes)
}

/// What to do where a mount has a reviewer's token and should have none: whose word is a flag may have been wrong, and the token that would
/// go can't be read back.
pub(super) fn without_a_token(mount: &MountScene, finding: Finding) -> Finding {
    if mount.source.is_flags() {
        finding.to_do(
            "--reviewer-token says otherwise: where the mount is right, name the account that reviews for it, --reviewer NAMESPACE/NAME",
        )
    } else {
        finding.mend([bootstrap(mount)])
    }
}

/// The command that lets a service account review tokens, by a binding of its own.
pub(super) fn let_review(mount: &MountScene, account: &ServiceAccountRef) -> Command {
    let binding = format!("{}-{}-tokenreview", account.namespace, account.name);
    mount.cluster.kubectl().bind(&binding, AUTH_DELEGATOR, account)
}

fn issuer(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.kubernetes_config()? else { return Ok(unread()) };
    if config.disable_iss_validation || config.issuer.is_empty() {
        return Ok(Finding::passed("the mount compares no issuer: the cluster itself is asked about every token"));
    }
    let Ok(published) = mount.cluster.published()? else {
        return Ok(Finding::unseen("the cluster's issuer can't be read; the login will tell"));
    };
    // A file that says nothing of the issuer wants none compared.
    let desired = mount.desired_kubernetes().map(|desired| desired.issuer.as_str()).filter(|issuer| !issuer.is_empty());
    compare_issuers(mount, &published.issuer, &config.issuer, desired, AuthMethod::Kubernetes)
}

/// The keys among which Vault looks for the one that signed a token, before it asks the cluster. Nothing that this tool writes names any.
fn keys(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.kubernetes_config()? else { return Ok(unread()) };
    if config.pem_keys.is_empty() {
        return Ok(Finding::passed("the mount names none: the cluster itself is asked about every token"));
    }
    let Ok(published) = mount.cluster.published()? else {
        return Ok(Finding::unseen("the cluster's keys can't be read; the login will tell"));
    };
    let there: Vec<Option<PublicKey>> = config.pem_keys.iter().map(|pem| PublicKey::parse_pem(pem).ok()).collect();
    let missing = published.keys.iter().filter(|key| !there.iter().any(|there| there.as_ref() == Some(&key.key)));
    let missing: Vec<String> = missing.map(named).collect();
    let all = published.keys.len();
    if missing.is_empty() {
        return Ok(Finding::passed(format!("{all} of {all} in pem_keys, and the cluster is asked as well")));
    }
    // Tokens that are signed with the others still work: which key signs, the token itself shows.
    let finding = if missing.len() == all {
        Finding::failed(
            "the mount's pem_keys have none of the cluster's keys: they are another cluster's, or were replaced since",
        )
    } else {
        let lacks = missing.len();
        Finding::warning(format!(
            "the mount's pem_keys lack {lacks} of the cluster's {all} keys: they were rotated since"
        ))
    };
    let there = there.iter().map(|key| key.as_ref().map_or_else(|| NO_KEY.to_owned(), PublicKey::kubernetes_kid));
    let finding = finding
        .with("the cluster signs with, and they lack", missing.join(", "))
        .with("the mount's pem_keys", there.collect::<Vec<_>>().join(", "))
        .why("Vault looks for the signature among these, and asks the cluster only about what one of them signed");
    if mount.source.is_flags() {
        // A write replaces all of the configuration, and with it what can't be read back.
        return Ok(finding.to_do(format!(
            "put the cluster's keys there, which {} shows, or no keys: with all else that the configuration has, the reviewer's token \
             among it, because a write replaces it",
            vaultk8s("pem").shown()
        )));
    }
    Ok(finding.mend([correct(mount, AuthMethod::Kubernetes, &["pem_keys"], "`auth`")?]))
}

fn host(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.kubernetes_config()? else { return Ok(unread()) };
    let host = &config.kubernetes_host;
    if host.starts_with("http://") {
        return Ok(Finding::failed(format!("the mount's host is named without TLS: {host}"))
            .with("the mount asks", host.clone())
            .weighing(Weight::Stands)
            .why("the tokens of whoever logs in, and the reviewer's, go over this connection in the clear, and any server may answer it")
            .mend([correct(mount, AuthMethod::Kubernetes, &["kubernetes_host"], "`auth.host`")?])
            .to_do("or name the host with https:// (`auth.host`)"));
    }
    if config.kubernetes_ca_cert.is_empty() {
        return Ok(Finding::skipped("the mount names no CA: Vault takes that of its own pod, or of its system"));
    }
    Ok(match mount.facts().get(&Connects { host: host.clone(), ca: config.kubernetes_ca_cert.clone() })? {
        Ok(()) => Finding::passed(format!("{host} has a certificate of the mount's CA")),
        Err(Connecting::Certificate(error)) => {
            // Is it the CA that is wrong, or is the host another one?
            let desired = mount.desired_kubernetes();
            let drifted = desired.is_none_or(|desired| {
                desired.kubernetes_ca_cert != config.kubernetes_ca_cert || desired.kubernetes_host != *host
            });
            let finding = Finding { remedies: Vec::new(), ..Finding::error(error) }.why(
                "Vault asks this host about every token. It keeps its connections, so that logins may go on for a while \
                 and then end with a bare `permission denied`",
            );
            if drifted {
                finding.mend([correct(mount, AuthMethod::Kubernetes, HOST_AND_CA, "`auth.host` or `auth.caCert`")?])
            } else {
                error.remedies().into_iter().fold(finding, Finding::to_do)
            }
        }
        // Vault in a cluster asks by a name that only the cluster knows, and nothing is wrong with that.
        Err(Connecting::Unreachable(said)) => {
            Finding::unseen(format!("{host} can't be reached from here, so its certificate was not compared: {said}"))
        }
    })
}

/// Whether the host and the CA are those of the file. Whoever may write the configuration can name others, to which no token goes from here.
pub(super) fn is_the_files(mount: &MountScene, config: &KubernetesConfig) -> bool {
    config.kubernetes_host.starts_with("https://")
        && mount.desired_kubernetes().is_some_and(|desired| {
            desired.kubernetes_host == config.kubernetes_host && desired.kubernetes_ca_cert == config.kubernetes_ca_cert
        })
}

/// Whether the host is the cluster by what it knows: the reviewer's token, which no other one made. Only the file's is asked.
fn knows_reviewer(mount: &MountScene, config: &KubernetesConfig) -> Known<bool> {
    if !is_the_files(mount, config) || mount.standing_reviewer().is_none() || mount.reviewer_token()?.is_err() {
        return Ok(false);
    }
    mount.facts().get(&KnowsReviewer { mount: mount.path.clone(), config: config.clone() }).copied()
}

pub(super) fn host_is_this_cluster(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.kubernetes_config()? else { return Ok(unread()) };
    let Some(connection) = mount.cluster.connected() else {
        return Ok(Finding::skipped("there is no way from here to the cluster to compare with"));
    };
    let (host, here) = (config.kubernetes_host.as_str(), connection.server());
    if host == here {
        return Ok(Finding::passed(format!("both are {host}")));
    }
    let desired = mount.desired_kubernetes().map(|desired| desired.kubernetes_host.as_str());
    let (meant, drifted) = (desired == Some(host), desired.is_some_and(|desired| desired != host));
    let correct = correct(mount, AuthMethod::Kubernetes, HOST_AND_CA, "`auth.host` or `auth.caCert`")?;
    let other = |detail: String| {
        let finding = Finding::failed(detail).with("the mount asks", host).with("the cluster is at", here).why(
            "another cluster knows nothing of this one's tokens: every login ends with a bare `permission denied`",
        );
        if meant {
            finding.mend([mount.in_its_file("correct `auth.host`, or take it out of the file to use the kubeconfig's")])
        } else {
            context_first(mount, finding).mend([correct.clone()])
        }
    };
    Ok(match connection.ca() {
        None => Finding::warning("the kubeconfig names no CA to know the cluster by").with("the mount asks", host),
        Some(ca) => match mount.facts().get(&Connects { host: host.to_owned(), ca: ca.to_pem() })? {
            Ok(()) => Finding::passed(format!("{host} has a certificate of the cluster's own CA")),
            // What takes only tokens of its own is meant to stand before the cluster, with a certificate of its own as well.
            Err(Connecting::Certificate(_)) if meant && mount.has_a_reviewer_of_its_host() => Finding::unseen(format!(
                "{host} has a certificate of the CA that the file names, and not of this cluster's own, as what stands before a cluster has"
            )),
            Err(Connecting::Certificate(_)) if knows_reviewer(mount, config)? => Finding::passed(format!(
                "{host} has a certificate of the CA that the file names, and knows the reviewer's token: it stands before this cluster"
            )),
            // Only a file says that something is meant to stand there.
            Err(Connecting::Certificate(_)) if mount.source.is_flags() => other(format!(
                "{host} is another cluster, or stands before this one: its certificate is not from this cluster's CA"
            ))
            .to_do("if it stands before this cluster, leave it: what a login says decides, and a file that names it (`auth.host`, `auth.caCert`) has it tried"),
            Err(Connecting::Certificate(_)) => {
                other(format!("{host} is another cluster: its certificate is not from this cluster's CA"))
            }
            // The file says otherwise; without one, a host that only Vault reaches is as likely as a wrong one.
            Err(Connecting::Unreachable(said)) if drifted => {
                other(format!("{host} does not answer ({said}), and the cluster is elsewhere"))
            }
            Err(Connecting::Unreachable(said)) => {
                Finding::unseen(format!("{host} can't be reached from here: {said}; the cluster is at {here}"))
            }
        },
    })
}
