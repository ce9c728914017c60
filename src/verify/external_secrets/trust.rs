//! Whether a store trusts Vault's certificate: with the CA that it carries, refers to, or leaves to the system.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::ca_provider;
use crate::keys::Authorities;
use crate::verify::catalogue::STORE_CA;
use crate::verify::external_secrets::store_scene::StoreScene;
use crate::verify::facts::network::VaultAt;
use crate::verify::facts::roots::NoAnswer;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::Finding;
use crate::verify::walk::{Row, row};

/// The check of a store's CA.
pub(super) const ROWS: &[Row<StoreScene>] = &[row!(STORE_CA, ca)];

const CORRECT: &str = "give the store Vault's CA, and correct where it comes from";

/// The id of the Vault at an address, to who trusts these authorities; else why there is no answer.
pub(super) fn vault_at<'a>(
    scene: &'a StoreScene,
    address: &Url,
    authorities: Option<&Authorities>,
) -> Known<&'a Result<String, NoAnswer>> {
    scene.facts().get(&VaultAt { address: address.to_string(), ca: authorities.map(Authorities::to_pem) })
}

/// The CA that a store trusts; `None` where it leaves that to the system.
pub(super) fn trusted(scene: &StoreScene) -> Known<Result<Option<Authorities>, Finding>> {
    let vault = &scene.store.vault;
    if let Some(bundle) = vault.ca_bundle.as_deref().filter(|bundle| !bundle.is_empty()) {
        return Ok(of_bundle(bundle).map(Some).map_err(|detail| {
            let values = [("the store's caBundle", shown(bundle)), ("it should be", "base64 of a certificate's PEM".to_owned())];
            scene
                .failed(detail, values)
                .why("External Secrets says `failed to decode ca bundle: failed to parse the new certificate, not valid pem data`")
                .run(scene.with_ca(CORRECT), scene.patch_ca())
        }));
    }
    Ok(match &vault.ca_provider {
        Some(provider) => ca_provider::authorities(scene, provider)?.map(Some),
        None => Ok(None),
    })
}

/// The beginning of a text, on one line.
fn shown(text: &str) -> String {
    let line: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if line.len() < text.len() { format!("{line}…") } else { line }
}

/// The certificates of a `caBundle`; else what is wrong with it.
fn of_bundle(bundle: &str) -> Result<Authorities, String> {
    let placeholder = |text: &str| text.contains("${").then(|| shown(text));
    let unfilled = |text: String| format!("the store's caBundle is a placeholder that nobody filled in: {text}");
    if let Some(text) = placeholder(bundle) {
        return Err(unfilled(text));
    }
    let plain: String = bundle.split_whitespace().collect();
    let Ok(bytes) = STANDARD.decode(plain) else {
        return Err("the store's caBundle is not base64".to_owned());
    };
    let text = String::from_utf8_lossy(&bytes);
    if let Some(text) = placeholder(&text) {
        return Err(unfilled(text));
    }
    // External Secrets takes base64 twice over as well.
    let twice = || {
        let inner = STANDARD.decode(text.split_whitespace().collect::<String>()).ok()?;
        Authorities::parse(&String::from_utf8_lossy(&inner))
    };
    Authorities::parse(&text)
        .or_else(twice)
        .ok_or_else(|| "the store's caBundle is base64, but not of a certificate's PEM".to_owned())
}

fn ca(scene: &StoreScene) -> Known<Finding> {
    let authorities = match trusted(scene)? {
        Ok(authorities) => authorities,
        Err(finding) => return Ok(finding),
    };
    let described = authorities
        .as_ref()
        .map_or_else(|| "none: the system's authorities".to_owned(), |authorities| authorities.describe().join(", "));
    let ready = scene.store.ready.as_ref().is_some_and(|ready| !ready.denies());
    let ours = scene.role.mount.vault.url();
    let theirs = scene.store.vault.server.parse::<Url>().ok().filter(|url| url.host_str() != ours.host_str());
    if theirs.as_ref().unwrap_or(ours).scheme() == "http" {
        return Ok(Finding::skipped("Vault is served over plain http"));
    }
    // By another name Vault may have another certificate: it is the store's own name for it that counts, where that
    // answers here.
    let by_their_name = match &theirs {
        Some(url) => Some((url, vault_at(scene, url, authorities.as_ref())?)),
        None => None,
    };
    let (address, answer) = match by_their_name {
        Some((url, Err(error))) if error.is_of_the_connection() => {
            if ready {
                return Ok(Finding::unseen(format!(
                    "{url} gives no answer here ({}); the store is ready",
                    error.said()
                )));
            }
            (ours, vault_at(scene, ours, authorities.as_ref())?)
        }
        Some((url, answer)) => (url, answer),
        None => (ours, vault_at(scene, ours, authorities.as_ref())?),
    };
    Ok(match answer {
        Ok(_) => Finding::passed(described),
        // The name is looked at last: the authority is the right one, and the store calls Vault otherwise.
        Err(NoAnswer::Name(_)) if address == ours && theirs.is_some() => Finding::passed(described),
        Err(NoAnswer::Connection(said)) => Finding::unseen(format!("Vault gives no answer: {said}")),
        Err(NoAnswer::Name(said) | NoAnswer::Certificate(said)) if authorities.is_none() && ready => Finding::warning(
            "the store names no CA, and this machine's do not know Vault's certificate; the store is ready",
        )
        .with("the certificate of", address.to_string())
        .with("the connection says", said)
        .to_do(
            "look whether the operator's own image or its Deployment has Vault's CA, or give the store a `caBundle`",
        ),
        Err(NoAnswer::Name(said) | NoAnswer::Certificate(said)) => {
            let values = [("the store's CA", described), ("the certificate of", address.to_string())];
            let finding = scene
                .failed("the store does not trust Vault's certificate", values)
                .with("the connection says", said)
                .why("External Secrets says `tls: failed to verify certificate: x509: certificate signed by unknown authority`");
            if address == ours {
                finding.run(scene.with_ca(CORRECT), scene.patch_ca())
            } else {
                finding.to_do(
                    "give the store the CA of that certificate, or let it call Vault by the name that is used here",
                )
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_bundle_has_its_own_words() {
        let pem = include_str!("../../../testdata/jwks/p256-certificate.pem");
        for (bundle, words) in [
            ("${VAULT_CA}".to_owned(), "placeholder"),
            (STANDARD.encode("${VAULT_CA}"), "placeholder"),
            (pem.to_owned(), "not base64"),
            (STANDARD.encode("no PEM"), "not of a certificate"),
        ] {
            assert!(of_bundle(&bundle).unwrap_err().contains(words), "{bundle}");
        }
        assert!(of_bundle(&STANDARD.encode(pem)).is_ok());
        assert!(of_bundle(&STANDARD.encode(STANDARD.encode(pem))).is_ok());
    }
}
