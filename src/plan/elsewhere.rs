//! A mount that another file keeps (`manage: false`): nothing of it is made or changed, and where it is otherwise than the
//! roles on it need, that is told.

use super::Observed;
use super::kubernetes::Planned;
use super::logged::InTheClear;
use super::settings::remarks;
use crate::desired::DesiredMount;
use crate::error::{Error, Result};
use crate::keys::{Authorities, KeyRecords, PublicKey, VerificationKey, algorithms};
use crate::model::{AuthMount, ConfigDocument, JwtConfig, KubernetesConfig};
use crate::names::MountPath;

/// The file that keeps a mount, as it is called where this one doesn't.
pub(crate) fn keeper(path: &MountPath) -> String {
    format!("the file that keeps auth/{path}")
}

/// A field in which the mount is otherwise than the roles need.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    /// Its name in Vault's API.
    field: &'static str,
    /// What the mount has.
    has: String,
    /// What the roles need, as this file has it.
    needs: String,
    /// The field of this file that says so, below `auth`.
    written: &'static str,
}

/// What should be known of the mount.
///
/// # Errors
/// When there is no such mount, or one of another type: no role can be written there.
pub(super) fn plan(mount: &DesiredMount, observed: &Observed) -> Result<Planned> {
    let path = &mount.path;
    let there = there(mount, observed)?;
    let held = observed.mounts.get(path).and_then(|there| there.config.as_ref());
    let keeper = keeper(path);
    let differences = match (&mount.config, held) {
        (Some(ConfigDocument::Jwt(needed)), Some(ConfigDocument::Jwt(held))) if *held != JwtConfig::default() => {
            of_jwt(&mount.keys, needed, held, &KeyRecords::read(&there.options))
        }
        (Some(ConfigDocument::Kubernetes(needed)), Some(ConfigDocument::Kubernetes(held)))
            if *held != KubernetesConfig::default() =>
        {
            of_kubernetes(needed, held)
        }
        _ => {
            let warning =
                format!("auth/{path} has no configuration, so that nobody can log in: bootstrap {keeper} first");
            return Ok(Planned { warnings: vec![warning], ..Planned::default() });
        }
    };
    let mut warnings: Vec<String> = differences
        .into_iter()
        .map(|Difference { field, has, needs, written }| {
            format!(
                "auth/{path}: {field} is {has}, and the roles here need {needs}: {keeper} has to change, or, if the mount is \
                 right, `auth.{written}` here"
            )
        })
        .collect();
    if let InTheClear::Unsaid(secrets) = InTheClear::of(there, &mount.tune.settings) {
        warnings.push(format!(
            "auth/{path} writes secrets into the audit log in the clear: {} (audit_non_hmac_request_keys). Whoever reads the log \
             can log in with them; {keeper} has to change",
            secrets.join(", ")
        ));
    }
    // What harms no role here is its keeper's business alone.
    let roles = mount.roles.iter().map(|role| (&role.name, role.document.token()));
    let graves = remarks(there, &mount.tune.settings, roles).into_iter().filter(|remark| remark.grave);
    warnings.extend(graves.map(|remark| format!("auth/{path} {}: {}", remark.has, remark.means)));
    Ok(Planned { warnings, ..Planned::default() })
}

/// The mount, which must be there for a role to be written on it.
fn there<'a>(mount: &DesiredMount, observed: &'a Observed) -> Result<&'a AuthMount> {
    let (path, cluster, method) = (&mount.path, &mount.cluster, mount.method);
    let keeper = keeper(path);
    match observed.auth_mounts.get(path.as_str()) {
        Some(there) if there.kind == method.as_str() => Ok(there),
        Some(there) => Err(Error::failed(format!(
            "auth/{path}/ is a mount of type {}, and the roles of cluster {cluster} are for one of type {method}",
            there.kind
        ))
        .remedy(format!("let {keeper} make it of type {method}, and bootstrap that file first"))
        .remedy("or correct `method:` or `mount:` of the cluster here")),
        None => Err(Error::failed(format!(
            "there is no auth mount at auth/{path}/, and cluster {cluster} leaves it to another file (`manage: false`)"
        ))
        .remedy(format!("bootstrap {keeper} first"))
        .remedy(
            "or correct `mount:` of the cluster; or take `manage: false` out, to have the mount made by this file",
        )),
    }
}

fn of_jwt(keys: &[VerificationKey], needed: &JwtConfig, held: &JwtConfig, records: &KeyRecords) -> Vec<Difference> {
    let mut found = Vec::new();
    // A discovery URL is the issuer, compared or not.
    let implied = held.bound_issuer.is_empty() && held.oidc_discovery_url == needed.bound_issuer;
    if held.bound_issuer != needed.bound_issuer && !implied {
        found.push(issuer("bound_issuer", &held.bound_issuer, &needed.bound_issuer));
    }
    let ((field, has), (_, needs)) = (source(held), source(needed));
    if has == needs {
        if field == PINNED {
            found.extend(of_pinned_keys(keys, held, records));
        } else {
            found.extend(certificates("jwks_ca_pem", &held.jwks_ca_pem, &needed.jwks_ca_pem));
            let (held, needed) = (&held.oidc_discovery_ca_pem, &needed.oidc_discovery_ca_pem);
            found.extend(certificates("oidc_discovery_ca_pem", held, needed));
        }
    } else {
        found.push(Difference { field, has, needs, written: "keys" });
    }
    let accepted = &held.jwt_supported_algs;
    let used: Vec<String> = algorithms(keys).iter().map(ToString::to_string).collect();
    if !accepted.is_empty() && used.iter().any(|used| !accepted.contains(used)) {
        let (has, needs) = (accepted.join(", "), used.join(", "));
        found.push(Difference { field: "jwt_supported_algs", has, needs, written: "keys" });
    }
    found
}

/// The field of keys that Vault has itself.
const PINNED: &str = "jwt_validation_pubkeys";

/// Where a configuration has its keys from.
fn source(config: &JwtConfig) -> (&'static str, String) {
    if !config.jwks_pairs.is_empty() {
        ("jwks_pairs", format!("keys from {} places at once", config.jwks_pairs.len()))
    } else if !config.oidc_discovery_url.is_empty() {
        ("oidc_discovery_url", format!("keys from discovery at {:?}", config.oidc_discovery_url))
    } else if !config.jwks_url.is_empty() {
        ("jwks_url", format!("keys from {:?}", config.jwks_url))
    } else {
        (PINNED, "pinned keys".to_owned())
    }
}

/// The cluster's keys that aren't pinned, and the pinned ones that are nobody's. Those that the cluster was seen to publish stay for
/// a while.
fn of_pinned_keys(keys: &[VerificationKey], held: &JwtConfig, records: &KeyRecords) -> Vec<Difference> {
    let pinned: Vec<Option<PublicKey>> =
        held.jwt_validation_pubkeys.iter().map(|element| PublicKey::parse_pem(element).ok()).collect();
    let named = |key: &VerificationKey| key.kid.clone().unwrap_or_else(|| key.key.short_fingerprint());
    let is_pinned = |key: &&VerificationKey| pinned.iter().flatten().any(|pinned| *pinned == key.key);
    let missing: Vec<String> = keys.iter().filter(|key| !is_pinned(key)).map(named).collect();
    let is_known =
        |key: &PublicKey| keys.iter().any(|published| published.key == *key) || records.keys.contains_key(&key.id());
    let strange: Vec<String> = pinned
        .iter()
        .filter_map(|key| match key {
            Some(key) if is_known(key) => None,
            Some(key) => Some(key.kubernetes_kid()),
            None => Some("an element that is no key".to_owned()),
        })
        .collect();
    let mut found = Vec::new();
    if !missing.is_empty() {
        let (has, needs) = ("without keys that the cluster signs with".to_owned(), missing.join(", "));
        found.push(Difference { field: PINNED, has, needs, written: "keys" });
    }
    if !strange.is_empty() {
        let has =
            format!("with keys that the cluster neither publishes nor was seen to publish ({})", strange.join(", "));
        found.push(Difference { field: PINNED, has, needs: "the cluster's own alone".to_owned(), written: "keys" });
    }
    found
}

fn of_kubernetes(needed: &KubernetesConfig, held: &KubernetesConfig) -> Vec<Difference> {
    let mut found = Vec::new();
    let (has, needs) = (&held.kubernetes_host, &needed.kubernetes_host);
    if has != needs {
        let (has, needs) = (format!("{has:?}"), format!("{needs:?}"));
        found.push(Difference { field: "kubernetes_host", has, needs, written: "host" });
    }
    found.extend(certificates("kubernetes_ca_cert", &held.kubernetes_ca_cert, &needed.kubernetes_ca_cert));
    // One that is compared counts only where there is one.
    let compared = |config: &KubernetesConfig| !config.disable_iss_validation && !config.issuer.is_empty();
    match (compared(held), compared(needed)) {
        (true, true) if held.issuer != needed.issuer => found.push(issuer("issuer", &held.issuer, &needed.issuer)),
        (true, false) => found.push(Difference {
            field: "disable_iss_validation",
            has: format!("false, with the issuer {:?}", held.issuer),
            needs: "true: this file names no issuer".to_owned(),
            written: "issuer",
        }),
        (false, true) => found.push(Difference {
            field: if held.disable_iss_validation { "disable_iss_validation" } else { "issuer" },
            has: if held.disable_iss_validation { "true: no issuer is compared" } else { "empty: none is compared" }
                .to_owned(),
            needs: format!("{:?} compared", needed.issuer),
            written: "issuer",
        }),
        _ => {}
    }
    found
}

fn issuer(field: &'static str, has: &str, needs: &str) -> Difference {
    let has = if has.is_empty() { "empty: none is compared".to_owned() } else { format!("{has:?}") };
    Difference { field, has, needs: format!("{needs:?}"), written: "issuer" }
}

/// A CA that lacks a certificate which this file knows the server by.
fn certificates(field: &'static str, held: &str, needed: &str) -> Option<Difference> {
    let needed = Authorities::parse(needed)?;
    let held = Authorities::parse(held);
    let has = |certificate| held.as_ref().is_some_and(|held| held.certificates().contains(certificate));
    if needed.certificates().iter().all(has) {
        return None;
    }
    let has = held.map_or_else(|| "empty".to_owned(), |held| held.describe().join(", "));
    Some(Difference { field, has, needs: needed.describe().join(", "), written: "caCert" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{JwsAlgorithm, pinned};

    fn key(seed: u8) -> VerificationKey {
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let point = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes();
        let key = PublicKey::from_spki_der(&[&head[..], &point].concat()).unwrap();
        VerificationKey {
            kid: Some(format!("kid-{seed}")),
            algorithm: JwsAlgorithm::used_by_kubernetes(key.kind()),
            key,
        }
    }

    fn pinning(issuer: &str, seeds: &[u8]) -> JwtConfig {
        let keys = seeds.iter().map(|seed| pinned(&key(*seed).key, None));
        JwtConfig {
            bound_issuer: issuer.to_owned(),
            jwt_validation_pubkeys: keys.collect(),
            jwt_supported_algs: vec!["EdDSA".to_owned()],
            ..JwtConfig::default()
        }
    }

    /// The fields in which a mount differs from what a cluster with the issuer `i` and the key 1 needs.
    fn jwt(needed: &JwtConfig, held: &JwtConfig) -> Vec<&'static str> {
        let found = of_jwt(&[key(1)], needed, held, &KeyRecords::default());
        found.iter().map(|difference| difference.field).collect()
    }

    fn kubernetes(needed: &KubernetesConfig, held: &KubernetesConfig) -> Vec<&'static str> {
        of_kubernetes(needed, held).iter().map(|difference| difference.field).collect()
    }

    #[test]
    fn what_the_roles_need_is_enough() {
        let needed = pinning("i", &[1]);
        let looser = JwtConfig { jwt_supported_algs: Vec::new(), default_role: "r".to_owned(), ..needed.clone() };
        let wider = JwtConfig { jwt_supported_algs: vec!["RS256".to_owned(), "EdDSA".to_owned()], ..needed.clone() };
        for held in [&needed, &looser, &wider] {
            assert!(jwt(&needed, held).is_empty(), "{held:?}");
        }
        let discovered = JwtConfig { oidc_discovery_url: "i".to_owned(), ..JwtConfig::default() };
        let needs = JwtConfig { bound_issuer: "i".to_owned(), ..discovered.clone() };
        assert!(jwt(&needs, &discovered).is_empty(), "a discovery URL is the issuer");
    }

    #[test]
    fn each_field_that_keeps_the_roles_from_logging_in_is_named() {
        let needed = pinning("i", &[1]);
        for (held, field) in [
            (pinning("other", &[1]), "bound_issuer"),
            (pinning("", &[1]), "bound_issuer"),
            (pinning("i", &[]), PINNED),
            (pinning("i", &[1, 2]), PINNED),
            (JwtConfig { jwt_supported_algs: vec!["RS256".to_owned()], ..needed.clone() }, "jwt_supported_algs"),
            (
                JwtConfig { jwks_url: "https://k".to_owned(), jwt_validation_pubkeys: Vec::new(), ..needed.clone() },
                "jwks_url",
            ),
        ] {
            assert_eq!(jwt(&needed, &held), [field], "{held:?}");
        }
    }

    #[test]
    fn a_key_that_the_cluster_was_seen_to_publish_may_stay() {
        let old = key(2).key;
        let record = crate::keys::KeyRecord { kid: None, first_seen: jiff::Timestamp::now(), gone_since: None };
        let records = KeyRecords { keys: [(old.id(), record)].into(), ..KeyRecords::default() };
        let (needed, held) = (pinning("i", &[1]), pinning("i", &[1, 2]));
        assert!(of_jwt(&[key(1)], &needed, &held, &records).is_empty());
        let strange = of_jwt(&[key(1)], &needed, &held, &KeyRecords::default());
        assert!(strange[0].has.contains(&old.kubernetes_kid()), "{strange:?}");
    }

    #[test]
    fn host_and_issuer_of_a_kubernetes_mount_are_compared_where_they_count() {
        let needed = KubernetesConfig {
            kubernetes_host: "https://a".to_owned(),
            disable_iss_validation: true,
            ..KubernetesConfig::default()
        };
        assert!(kubernetes(&needed, &needed).is_empty());
        // Nothing to compare with is as good as nothing compared.
        let idle = KubernetesConfig { disable_iss_validation: false, ..needed.clone() };
        assert!(kubernetes(&needed, &idle).is_empty());
        let elsewhere = KubernetesConfig { kubernetes_host: "https://b".to_owned(), ..needed.clone() };
        assert_eq!(kubernetes(&needed, &elsewhere), ["kubernetes_host"]);
        let strict = KubernetesConfig { issuer: "i".to_owned(), ..idle.clone() };
        assert_eq!(kubernetes(&needed, &strict), ["disable_iss_validation"]);
        assert_eq!(kubernetes(&strict, &needed), ["disable_iss_validation"]);
        assert_eq!(kubernetes(&strict, &idle), ["issuer"]);
        assert_eq!(kubernetes(&strict, &KubernetesConfig { issuer: "j".to_owned(), ..idle }), ["issuer"]);
    }
}
