//! Tokens of service accounts, as their consumers get them (TokenRequest).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ListParams, PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::connect::Connection;
use super::error::ClusterError;
use crate::error::{Error, Result};
use crate::fix::Kubectl;
use crate::names::{Audience, ServiceAccountRef};

/// A token of a service account, or of whom else an issuer vouches for.
#[derive(Debug, Clone)]
pub struct ServiceAccountToken {
    secret: SecretString,
    /// What it says of itself; nothing here has checked its signature.
    pub claims: TokenClaims,
}

impl ServiceAccountToken {
    /// The token itself.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The name of the key that it says it is signed with.
    pub fn kid(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Header {
            kid: Option<String>,
        }
        let header = self.secret.expose_secret().split('.').next().unwrap_or_default();
        serde_json::from_slice::<Header>(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?.kid
    }

    /// The same token with a signature that no key made: what must be refused by whoever checks signatures.
    pub fn forged(&self) -> SecretString {
        let (signed, signature) = self.secret.expose_secret().rsplit_once('.').unwrap_or_default();
        let other: Vec<u8> =
            URL_SAFE_NO_PAD.decode(signature).unwrap_or_default().iter().map(|byte| byte ^ 0x5a).collect();
        SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other)))
    }

    /// Takes a token for what it says.
    ///
    /// # Errors
    /// When the text is not a JWT. The error does not quote it.
    pub fn parse(secret: SecretString) -> Result<Self> {
        let refused = |what: &str| {
            Error::failed(what).remedy(format!(
                "give the token alone, as {} prints it",
                Kubectl::default().run("create token").shown()
            ))
        };
        let parts: Vec<&str> = secret.expose_secret().split('.').collect();
        let decoded = |part: &&str| URL_SAFE_NO_PAD.decode(part).ok();
        let json = parts.get(1).and_then(decoded).unwrap_or_default();
        let claims = serde_json::from_slice(&json)
            .map_err(|_| refused("this is not a JSON Web Token with the claims of a service account"))?;
        // A quote, a prompt or a second line that was copied along: Vault would say no more than that the signature is wrong.
        if parts.len() != 3 || parts.iter().any(|part| decoded(part).is_none()) {
            return Err(refused(
                "this is not a JSON Web Token as it stands: something is in it, or around it, that is no part of one",
            ));
        }
        Ok(Self { secret, claims })
    }
}

/// The claims of a service account's token that Vault looks at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The issuer.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// `system:serviceaccount:<namespace>:<name>`.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The audiences.
    #[serde(rename = "aud", default)]
    pub audiences: OneOrMany,
    /// When it expires, in seconds since 1970.
    #[serde(rename = "exp", default, deserialize_with = "whole_seconds")]
    pub expires: u64,
    /// All others.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl TokenClaims {
    /// The value of a claim by its name, or by a JSON pointer to it, as JSON.
    pub fn value(&self, claim: &str) -> Option<String> {
        let Self { issuer, subject, audiences, expires, other } = self;
        let mut all: serde_json::Value = other.clone().into_iter().collect();
        all["iss"] = issuer.as_str().into();
        all["sub"] = subject.as_str().into();
        // A token of a Secret has neither.
        if !audiences.0.is_empty() {
            all["aud"] = audiences.0.clone().into();
        }
        if *expires > 0 {
            all["exp"] = (*expires).into();
        }
        let value = if claim.starts_with('/') { all.pointer(claim) } else { all.get(claim) };
        value.map(ToString::to_string)
    }

    /// The text of a claim, by its name or by a JSON pointer to it; `None` where it is no string.
    pub fn text(&self, claim: &str) -> Option<String> {
        serde_json::from_str(&self.value(claim)?).ok()
    }
}

/// A `NumericDate`, which may have a fraction (RFC 7519, section 2): the whole seconds of it.
fn whole_seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = |text: &str| text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok();
    number.as_u64().or_else(|| whole(&number.to_string())).ok_or_else(|| serde::de::Error::custom("no time"))
}

/// A claim that is one string or a list of them (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Raw::deserialize(deserializer)? {
            Raw::One(one) => vec![one],
            Raw::Many(many) => many,
        }))
    }
}

/// Asks the cluster for a token of a service account
/// (`POST /api/v1/namespaces/{namespace}/serviceaccounts/{name}/token`).
///
/// With no audiences the API server gives its own. It may also give another lifetime than `seconds`, which it never
/// makes shorter than ten minutes.
///
/// # Errors
/// When there is no such service account, or the operator may not create tokens for it.
pub async fn request_token(
    connection: &Connection,
    account: &ServiceAccountRef,
    audiences: &[Audience],
    seconds: i64,
) -> Result<ServiceAccountToken> {
    let accounts: Api<ServiceAccount> = Api::namespaced(connection.client(), &account.namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audiences.iter().map(|audience| audience.as_str().to_owned()).collect(),
            expiration_seconds: Some(seconds),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer =
        accounts.create_token_request(&account.name, &PostParams::default(), &request).await.map_err(|error| {
            explain(connection.refused(&format!("a token of {account}"), error), account, &connection.way().kubectl())
        })?;
    let token = answer.status.map(|status| SecretString::from(status.token)).ok_or_else(|| {
        Error::failed(format!("{} answered without the token of {account} that it was asked for", connection.server()))
    })?;
    ServiceAccountToken::parse(token)
}

/// Some of the service accounts of a namespace, or of all namespaces: as many as fit into one answer.
///
/// # Errors
/// When they may not be listed.
pub async fn service_accounts(connection: &Connection, namespace: Option<&str>) -> Result<Vec<ServiceAccountRef>> {
    const LOOKED_AT: u32 = 50;
    let accounts: Api<ServiceAccount> = match namespace {
        Some(namespace) => Api::namespaced(connection.client(), namespace),
        None => Api::all(connection.client()),
    };
    let listed = accounts.list(&ListParams::default().limit(LOOKED_AT)).await;
    let listed = listed.map_err(|error| connection.refused("the service accounts", error))?;
    let named = listed.items.into_iter().map(|account| account.metadata);
    Ok(named.filter_map(|meta| Some(ServiceAccountRef { namespace: meta.namespace?, name: meta.name? })).collect())
}

fn explain(error: ClusterError, account: &ServiceAccountRef, kubectl: &Kubectl) -> Error {
    let ServiceAccountRef { namespace, name } = account;
    let within = kubectl.clone().within(namespace);
    let create = within.run("create serviceaccount").name(name);
    let (message, remedy) = match &error {
        ClusterError::NotFound { .. } => (
            format!("the service account {account} does not exist, so nobody can log in as it"),
            if error.to_string().contains("namespaces ") {
                format!("create both: {}", kubectl.run("create namespace").name(namespace).then(&create).shown())
            } else {
                format!("create it: {}", create.shown())
            },
        ),
        ClusterError::Forbidden { .. } => (
            format!("a token of {account} may not be requested with these credentials"),
            format!(
                "allow `create` on `serviceaccounts/token` in {namespace}: {}, and bind it; or leave verification away with \
                 --no-verify",
                within.run("create role vaultk8s-verify --verb=create --resource=serviceaccounts/token").shown()
            ),
        ),
        _ => return error.into(),
    };
    let forbidden = matches!(error, ClusterError::Forbidden { .. });
    let explained = Error::failed(message).because(error).remedy(remedy);
    if forbidden { explained.forbidden_by_cluster() } else { explained }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> SecretString {
        SecretString::from(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn an_audience_may_be_a_string_or_a_list() {
        for aud in [r#""vault""#, r#"["vault"]"#] {
            let parsed = ServiceAccountToken::parse(token(&format!(r#"{{"iss":"i","sub":"s","exp":1,"aud":{aud}}}"#)));
            assert_eq!(parsed.unwrap().claims.audiences.0, ["vault"]);
        }
    }

    #[test]
    fn a_time_may_have_a_fraction() {
        for (exp, seconds) in [("1600000000", 1_600_000_000), ("1600000000.5", 1_600_000_000), ("1.6e9", 1_600_000_000)]
        {
            let parsed = ServiceAccountToken::parse(token(&format!(r#"{{"iss":"i","sub":"s","exp":{exp}}}"#)));
            assert_eq!(parsed.unwrap().claims.expires, seconds, "{exp}");
        }
        assert!(ServiceAccountToken::parse(token(r#"{"iss":"i","sub":"s","exp":"soon"}"#)).is_err());
    }

    #[test]
    fn every_claim_is_found_by_its_name_and_by_a_pointer() {
        let text = r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1,"k8s":{"ns":"n"}}"#;
        let claims = ServiceAccountToken::parse(token(text)).unwrap().claims;
        for (claim, value) in [
            ("iss", r#""i""#),
            ("/sub", r#""s""#),
            ("aud", r#"["a","b"]"#),
            ("/aud/0", r#""a""#),
            ("exp", "1"),
            ("/k8s/ns", r#""n""#),
        ] {
            assert_eq!(claims.value(claim).as_deref(), Some(value), "{claim}");
        }
        assert_eq!(claims.value("nbf"), None);
        let of_a_secret = ServiceAccountToken::parse(token(r#"{"iss":"i","sub":"s"}"#)).unwrap().claims;
        assert_eq!((of_a_secret.value("aud"), of_a_secret.value("exp")), (None, None));
    }

    #[test]
    fn what_a_shell_leaves_around_a_token_is_no_part_of_it() {
        let good = token(r#"{"iss":"i","sub":"s"}"#).expose_secret().to_owned();
        assert!(ServiceAccountToken::parse(SecretString::from(good.as_str())).is_ok());
        let debris = ["\"TOKEN\"", "TOKEN%", "token=TOKEN", "TOKEN.x", "TOKEN=", "TOKEN\n$"];
        for debris in debris.map(|debris| debris.replace("TOKEN", &good)) {
            let error = ServiceAccountToken::parse(SecretString::from(debris.as_str())).unwrap_err();
            assert!(error.to_string().contains("around it"), "{debris}: {error}");
        }
    }

    #[test]
    fn what_is_no_token_is_not_quoted() {
        for text in ["", "hvs.verysecret", "a.b.c", "e30.e30.x"] {
            let error = ServiceAccountToken::parse(SecretString::from(text)).unwrap_err();
            assert!(!format!("{error:?}").contains("verysecret"));
        }
    }
}
