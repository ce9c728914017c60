//! Whom a mount trusts, against what the file says: a login that works says nothing of who else gets in.
//!
//! What a plan would call another trust is looked into here: is it the cluster all the same, by another way? Then nothing is wrong.
//! Pinned keys are left to their own check, which knows the record of those that were rotated out.

use crate::keys::Authorities;
use crate::model::{AuthMethod, JwtConfig, KeyUrl, KeysFrom, KubernetesConfig};
use crate::plan::trust::{Replaced, of_jwt, of_kubernetes};
use crate::verify::catalogue::TRUST;
use crate::verify::facts::network::Connects;
use crate::verify::facts::review::Connecting;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::Finding;
use crate::verify::links::mount::{correct, unread};
use crate::verify::scene::MountScene;
use crate::verify::walk::{Row, row};

/// The check of whom a mount trusts, after those that say what is wrong with it.
pub(in crate::verify) const ROWS: &[Row<MountScene>] = &[row!(TRUST, trust)];

/// The fields that say whom a mount trusts.
const OF_TRUST: &[&str] = &[
    "kubernetes_host",
    "kubernetes_ca_cert",
    "bound_issuer",
    "jwks_url",
    "jwks_ca_pem",
    "oidc_discovery_url",
    "oidc_discovery_ca_pem",
    "jwks_pairs",
    "jwt_validation_pubkeys",
];

/// What is to be said of one thing that the file doesn't trust.
enum Judged {
    /// It is the cluster all the same.
    Same,
    /// Nobody can tell from here.
    Unknown(String),
    /// It is somebody else.
    Strange(String),
}

fn trust(mount: &MountScene) -> Known<Finding> {
    if mount.source.is_flags() {
        return Ok(Finding::skipped("no file says whom the mount should trust"));
    }
    if let (Some(held), Some(wanted)) = (mount.kubernetes_config()?, mount.desired_kubernetes()) {
        return kubernetes(mount, held, wanted);
    }
    if let (Some(held), Some(wanted)) = (mount.jwt_config()?, mount.desired_jwt()) {
        return jwt(mount, held, wanted);
    }
    Ok(match &mount.desired {
        None => Finding::unseen("the cluster can't be read, so that it isn't known whom the mount should trust"),
        Some(desired) if desired.config.is_none() => {
            Finding::skipped("the file leaves the mount's configuration to others")
        }
        Some(_) => unread(),
    })
}

fn kubernetes(mount: &MountScene, held: &KubernetesConfig, wanted: &KubernetesConfig) -> Known<Finding> {
    let own = own_authorities(mount, [wanted.kubernetes_ca_cert.as_str()])?;
    let there = Authorities::parse(&held.kubernetes_ca_cert);
    let mut judged = Vec::new();
    for replaced in of_kubernetes(held, wanted) {
        judged.push(match replaced {
            Replaced::Host { before, .. } => host(mount, &before, held, there.as_ref(), &own)?,
            Replaced::Authorities { before, .. } => match own.strange_among(&before) {
                strange if strange.is_empty() => Judged::Same,
                strange => Judged::Strange(format!(
                    "the mount knows its cluster by another CA than the file says: {}",
                    strange.describe().join(", ")
                )),
            },
            // What is compared beside asking the cluster lets nobody in.
            _ => Judged::Same,
        });
    }
    let beside = there.as_ref().map(|there| own.strange_among(there)).filter(|strange| !strange.is_empty());
    judged.extend(beside.map(|strange| {
        let names = strange.describe().join(", ");
        Judged::Unknown(format!("whose the CA {names} is, which the mount trusts and the file doesn't name"))
    }));
    let finding = found(mount, judged, AuthMethod::Kubernetes)?;
    if finding.evidence.is_empty() && finding.remedies.is_empty() {
        return Ok(finding);
    }
    let described = |authorities: &Authorities| authorities.describe().join(", ");
    Ok(finding
        .with("the mount asks", held.kubernetes_host.clone())
        .with("by the CA", there.as_ref().map_or_else(|| "that Vault's own system has".to_owned(), described))
        .with("the file says", wanted.kubernetes_host.clone())
        .with("the cluster's CA", described(&own)))
}

/// Whether another host than the file's is the cluster all the same.
fn host(
    mount: &MountScene,
    host: &str,
    held: &KubernetesConfig,
    there: Option<&Authorities>,
    own: &Authorities,
) -> Known<Judged> {
    let strange = |what: &str| Judged::Strange(format!("the mount asks {host} about every token, {what}"));
    if host.starts_with("http://") {
        return Ok(strange("where anybody may answer"));
    }
    // Whoever answers Vault there has a certificate of the cluster's own CA.
    if there.is_some_and(|there| own.strange_among(there).is_empty()) {
        return Ok(Judged::Same);
    }
    Ok(match mount.facts().get(&Connects { host: host.to_owned(), ca: own.to_pem() })? {
        Ok(()) => Judged::Same,
        Err(Connecting::Certificate(_)) => {
            strange("which is not this cluster: its certificate is not from the cluster's CA")
        }
        // The CA of Vault's own pod may be the cluster's.
        Err(Connecting::Unreachable(said)) if there.is_none() && !held.disable_local_ca_jwt => {
            Judged::Unknown(format!("whether {host}, which the mount asks about every token, is this cluster: {said}"))
        }
        Err(Connecting::Unreachable(_)) => strange("by a CA that the file doesn't name, and the file says another"),
    })
}

fn jwt(mount: &MountScene, held: &JwtConfig, wanted: &JwtConfig) -> Known<Finding> {
    let from = wanted.keys_from();
    let own = own_authorities(mount, from.urls().iter().map(|url| url.ca.as_str()))?;
    let published = mount.cluster.published()?.as_ref().ok();
    let vouched = |ca: &str| Authorities::parse(ca).is_some_and(|ca| own.strange_among(&ca).is_empty());
    let says_itself = |url: &KeyUrl, from: &KeysFrom| {
        let said = published.and_then(|published| match from {
            KeysFrom::Discovery(_) => Some(&published.issuer),
            _ => published.jwks_uri.as_ref(),
        });
        said == Some(&url.url) && url.ca.is_empty()
    };
    let judge = |replaced: Replaced| match &replaced {
        Replaced::KeysFrom { before, .. }
            if *before != KeysFrom::Provider
                && before.urls().iter().all(|url| vouched(&url.ca) || says_itself(url, before)) =>
        {
            Judged::Same
        }
        Replaced::KeysFrom { before, after } => {
            Judged::Strange(format!("the mount takes the cluster's keys from {before}, and the file says {after}"))
        }
        Replaced::KeyServer { before, .. } if !vouched(&before.ca) => Judged::Strange(format!(
            "the mount knows the server of its keys, {}, by another CA than the file says",
            before.url
        )),
        Replaced::Issuer { before, .. } if published.is_some_and(|published| published.issuer != *before) => {
            Judged::Strange(format!("the mount trusts the issuer {before:?}, which is not the cluster's"))
        }
        _ => Judged::Same,
    };
    found(mount, of_jwt(held, wanted).into_iter().map(judge).collect(), AuthMethod::Jwt)
}

/// The CAs that the cluster is known by: as the file says, as who runs this knows it, and as its pods do.
fn own_authorities<'a>(mount: &'a MountScene, wanted: impl IntoIterator<Item = &'a str>) -> Known<Authorities> {
    let kubeconfig = mount.cluster.connected().and_then(|connection| connection.ca());
    let named = wanted.into_iter().filter_map(Authorities::parse);
    let mut all: Vec<_> = named.flat_map(|named| named.certificates().to_vec()).collect();
    all.extend(kubeconfig.into_iter().chain(mount.cluster.root_ca()?).flat_map(|root| root.certificates().to_vec()));
    Ok(Authorities::of(all))
}

fn found(mount: &MountScene, judged: Vec<Judged>, method: AuthMethod) -> Known<Finding> {
    let mend = || correct(mount, method, OF_TRUST, "whom it trusts");
    let (mut strange, mut unknown) = (Vec::new(), Vec::new());
    for judged in judged {
        match judged {
            Judged::Same => {}
            Judged::Unknown(text) => unknown.push(text),
            Judged::Strange(text) => strange.push(text),
        }
    }
    let audit = format!("and look who wrote it: Vault's audit log, auth/{}/config", mount.path);
    if !strange.is_empty() {
        return Ok(Finding::failed(strange.join("; "))
            .why("whoever runs that server, or has the key of that CA, says which tokens are good for every role of the mount; logins go on")
            .mend([mend()?])
            .to_do(audit));
    }
    if !unknown.is_empty() {
        return Ok(Finding::warning(format!("can't tell {}", unknown.join("; nor ")))
            .why("whoever it is says which tokens are good for every role of the mount")
            .mend([mend()?])
            .to_do(audit));
    }
    Ok(Finding::passed("the cluster, and nobody else that could be seen here"))
}
