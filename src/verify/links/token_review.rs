//! The review of a token, asked for from here as Vault asks for it.

use url::Url;

use crate::cluster::{ClusterError, Way};
use crate::config::ReviewerToken;
use crate::model::{AUTH_DELEGATOR, AuthMethod, KubernetesConfig};
use crate::verify::facts::login::Review;
use crate::verify::facts::review::Reviewed;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Status};
use crate::verify::links::by_file;
use crate::verify::links::kubernetes::{host_is_this_cluster, is_the_files, let_review};
use crate::verify::links::mount::{remake, unread};
use crate::verify::scene::MountScene;
use crate::verify::scene::RoleScene;

/// The review that Vault has made for every login, made from here.
pub(super) fn reviewed(scene: &RoleScene) -> Known<Finding> {
    let mount = &scene.mount;
    let Ok(token) = scene.token()? else { return Ok(Finding::skipped("there is no token")) };
    let Some(config) = mount.kubernetes_config()? else {
        return Ok(unread());
    };
    if config.kubernetes_ca_cert.is_empty() {
        return Ok(Finding::skipped("the mount names no CA: Vault takes that of its own pod, or of its system"));
    }
    let Some(reviewer) = &mount.reviewer else {
        return Ok(Finding::skipped(format!(
            "nothing here says who reviews tokens for Vault; name it with {}",
            mount.naming_the_reviewer()
        )));
    };
    let audience = scene
        .held()?
        .and_then(|role| role.kubernetes())
        .map(|role| role.audience.clone())
        .filter(|audience| !audience.is_empty());
    // As Vault does, where the role names none: those of the token itself.
    let audiences = audience.map_or_else(|| token.claims.audiences.0.clone(), |audience| vec![audience]);
    if let Err(error) = mount.reviewer_token()? {
        return Ok(Finding::unseen_because(error));
    }
    if let Err(finding) = may_be_asked(mount, config)? {
        return Ok(finding);
    }
    let client = reviewer.token == ReviewerToken::Client;
    let who = match &reviewer.token {
        ReviewerToken::Client => "the token itself".to_owned(),
        ReviewerToken::Secret | ReviewerToken::Bound => format!("the reviewer {}", reviewer.service_account),
        ReviewerToken::Local => {
            return Ok(Finding::skipped("Vault reviews with the token of its own pod, which isn't here"));
        }
        ReviewerToken::File(_) | ReviewerToken::Environment(_) => reviewer.token_source().to_string(),
    };
    let review = Review { consumer: scene.consumer(), audiences: audiences.clone(), config: config.clone() };
    let Some(answer) = scene.facts().get(&review)? else { return Ok(Finding::skipped("there is no token")) };
    Ok(match answer {
        Ok(Reviewed::Accepted) => Finding::passed(format!("{}, asked with {who}", config.kubernetes_host)),
        Ok(Reviewed::Rejected(said)) => Finding::failed(format!("{} does not accept the token", config.kubernetes_host))
            .with("it says", said)
            .with("the token's aud", token.claims.audiences.0.join(", "))
            .with("it was asked for the audience", audiences.join(", "))
            .why("Vault asks the same, and answers the login with a bare `permission denied`")
            .to_do("let the role's `audience` be among the token's, and both among what the API server takes (--api-audiences) if it reviews itself")
            .to_do("or present a token of this cluster, of an account that is still there"),
        Ok(Reviewed::Refused(ClusterError::Unreachable { cause, .. })) => Finding::unseen(format!(
            "{} can't be asked from here ({cause}); the login will tell",
            config.kubernetes_host
        )),
        Ok(Reviewed::Refused(error)) => refused(scene, error, &who, client)?,
        Err(error) => Finding::error(error),
    })
}

/// Whether a mount's host is the file's, by the CA that the file names, or is shown to be the cluster: whoever may write the configuration
/// can name another, to which no token goes from here.
///
/// # Errors
/// What there is to say where it isn't asked.
fn may_be_asked(mount: &MountScene, config: &KubernetesConfig) -> Known<Result<(), Finding>> {
    let host = &config.kubernetes_host;
    let unknown = || {
        Finding::skipped(format!(
            "{host} is not asked: nothing shows that it is this cluster, and it would get the token that reviews"
        ))
    };
    if !host.starts_with("https://") {
        return Ok(Err(unknown()));
    }
    if is_the_files(mount, config) {
        return Ok(Ok(()));
    }
    let seen = host_is_this_cluster(mount)?;
    Ok(match seen.status {
        Status::Passed => Ok(()),
        Status::Unseen => Err(Finding::unseen(format!("it can't be asked from here; {}", seen.detail))),
        _ => Err(unknown()),
    })
}

/// Whether a host is a path of a server, as that of a front that has several clusters behind it.
fn is_a_front(host: &str) -> bool {
    Url::parse(host).is_ok_and(|url| !url.path().trim_matches('/').is_empty())
}

fn refused(scene: &RoleScene, error: &ClusterError, who: &str, client: bool) -> Known<Finding> {
    let finding = Finding::failed(match error {
        ClusterError::Unauthorized { .. } => format!("the mount's host does not know {who}"),
        ClusterError::Forbidden { .. } => format!("{who} may not review tokens"),
        _ => "the mount's host can't be asked".to_owned(),
    })
    .with("it says", error.to_string());
    let here = scene.mount.cluster.connected().map(Way::server);
    let host = scene.mount.kubernetes_config()?.map(|config| config.kubernetes_host.as_str());
    let finding = match (host, here) {
        (Some(host), Some(here)) if host != here => {
            finding.with("the mount asks", host).with("the cluster is at", here)
        }
        _ => finding,
    }
    .why("Vault asks the same, and answers the login with a bare `permission denied`");
    let account = scene.account.as_ref();
    Ok(match (error, client, account) {
        (ClusterError::Unauthorized { .. }, true, _) => finding.to_do(
            "with `token: client` the token that logs in is presented to the API server, so the API server must be among its \
             audiences: take the custom audience away, or set up a reviewer (`auth.reviewer.token: secret` or `bound`)",
        ),
        (ClusterError::Forbidden { .. }, true, Some(account)) => finding
            .run(
                "let the account review tokens, its own among them",
                let_review(&scene.mount, account),
            )
            .to_do("or set up a reviewer (`auth.reviewer.token: secret` or `bound`)"),
        (ClusterError::Forbidden { .. }, false, _) if scene.mount.has_a_reviewer_of_its_host() => finding
            .to_do(format!("let whose token it is review tokens (the ClusterRole {AUTH_DELEGATOR}), or put a token there that may")),
        (ClusterError::Unauthorized { .. }, false, _) if scene.mount.has_a_reviewer_of_its_host() => finding
            .to_do(format!("put a token there that {} takes: this one has ended, or is another server's", host.unwrap_or("the mount's host")))
            .to_do("or name the API server itself and its CA (`auth.host`, `auth.caCert`), and let it have a reviewer of its own"),
        (ClusterError::Unauthorized { .. }, false, _) if host.is_some_and(is_a_front) => finding.to_do(
            "what is asked is a front with credentials of its own (Rancher, a proxy), which knows no tokens of service accounts: name the \
             API server itself and its CA (`auth.host`, `auth.caCert`; without a file, a context that leads there)",
        )
        .to_do("or give Vault a token of the front itself: `reviewer: { token: { file: PATH } }` (--reviewer-token-file)"),
        (ClusterError::Unauthorized { .. }, false, _) if host == here && by_file::is_same(&scene.mount, &["kubernetes_host", "kubernetes_ca_cert"])? => finding
            .to_do("look whether that server is the API server itself: a front (Rancher, a proxy) knows no tokens of service accounts")
            .to_do("or the reviewer's token is of another cluster, or has ended: delete its Secret, so that it is made anew, and bootstrap"),
        _ => finding.mend([remake(&scene.mount, AuthMethod::Kubernetes)]),
    })
}
