//! `auth-provider`: logins that kubectl once had built in. Those of clouds are gone from it, each in favour of a program; OpenID
//! Connect's is left.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use kube::config::AuthProviderConfig;
use secrecy::SecretString;

use super::fault::CredentialFault;
use crate::fix::Kubectl;

/// What kubectl refuses.
pub(super) fn check(provider: &AuthProviderConfig) -> Result<(), CredentialFault> {
    let gone = |program: &str| {
        let name = &provider.name;
        let said = format!("its user has the `auth-provider` {name}, which is gone from kubectl");
        Err(CredentialFault::written(said)
            .remedy(format!("let {program} write the kubeconfig anew, with an `exec` in its place")))
    };
    match provider.name.as_str() {
        "gcp" => gone("`gcloud container clusters get-credentials`, with gke-gcloud-auth-plugin,"),
        "azure" => gone("`kubelogin convert-kubeconfig`"),
        "oidc" => {
            let missing =
                ["idp-issuer-url", "client-id"].into_iter().find(|field| !provider.config.contains_key(*field));
            missing.map_or(Ok(()), |field| {
                Err(CredentialFault::written(format!("its `auth-provider` oidc has no `{field}`")))
            })
        }
        name => Err(CredentialFault::written(format!("its user has the `auth-provider` {name:?}, which nobody knows"))),
    }
}

/// The token that it has.
///
/// # Errors
/// When that has ended: kubectl asks for a new one then, and writes it into the kubeconfig.
pub(super) fn token(provider: &AuthProviderConfig, kubectl: &Kubectl) -> Result<SecretString, CredentialFault> {
    let token = provider.config.get("id-token").filter(|token| !token.is_empty());
    let lives = token.filter(|token| ends_at(token).is_some_and(|end| end > Timestamp::now().as_second()));
    lives.map(|token| token.clone().into()).ok_or_else(|| {
        let said = if token.is_some() { "has expired" } else { "is missing" };
        let fault = CredentialFault::of_plugin(format!("the `id-token` of its `auth-provider` oidc {said}"));
        if provider.config.contains_key("refresh-token") {
            let any = kubectl.run("get --raw /version").shown();
            fault.remedy(format!("{any} gets a new one, and writes it into the kubeconfig"))
        } else {
            fault.remedy("log in to the cluster again, as whoever gave you the kubeconfig says")
        }
    })
}

/// When a JWT ends, in seconds since 1970.
fn ends_at(token: &str) -> Option<i64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<serde_json::Value>(&claims).ok()?.get("exp")?.as_i64()
}
