//! Tokens of service accounts, issued and checked as an API server does (`pkg/serviceaccount`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::signer::Signer;
use crate::error::Result;
use crate::names::ServiceAccountRef;

/// The issuer of tokens that are in a Secret and don't expire.
const LONG_LIVED: &str = "kubernetes/serviceaccount";

/// What issues a cluster's tokens, and knows them again.
pub(super) struct Issuer {
    /// The `iss` of its tokens.
    pub(super) url: String,
    /// The API server's own audiences: of tokens that were asked for without any.
    pub(super) audiences: Vec<String>,
    pub(super) signer: Signer,
}

/// A service account that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: ServiceAccountRef,
    pub(super) uid: String,
}

/// A token that was found to be genuine.
pub(super) struct Genuine {
    pub(super) account: Account,
    /// Those of its audiences that were asked for.
    pub(super) audiences: Vec<String>,
    /// Its own name; a long-lived one has none.
    pub(super) id: Option<String>,
}

impl Issuer {
    /// A token as `TokenRequest` gives it, from `now` for so many seconds.
    pub(super) fn bound(
        &self,
        account: &Account,
        audiences: &[String],
        now: u64,
        seconds: u64,
    ) -> Result<SecretString> {
        self.bound_with(account, audiences, &BTreeMap::new(), now, seconds)
    }

    /// The same with claims that say more, such as in which pod it is: as a node gets it for one.
    pub(super) fn bound_with(
        &self,
        account: &Account,
        audiences: &[String],
        more: &BTreeMap<String, String>,
        now: u64,
        seconds: u64,
    ) -> Result<SecretString> {
        let mut claims = self.claims(account, audiences, now, seconds);
        for (claim, value) in more {
            put(&mut claims, claim, value);
        }
        self.token(&self.signer, &claims)
    }

    /// The same token, signed by another key that calls itself this one's.
    #[cfg(test)]
    pub(super) fn signed_by(
        &self,
        signer: &Signer,
        account: &Account,
        audiences: &[String],
        now: u64,
        seconds: u64,
    ) -> Result<SecretString> {
        self.token(signer, &self.claims(account, audiences, now, seconds))
    }

    fn claims(&self, account: &Account, audiences: &[String], now: u64, seconds: u64) -> Value {
        let ServiceAccountRef { namespace, name } = &account.name;
        json!({
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": self.url,
            "jti": uuid(),
            "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name, "uid": account.uid } },
            "nbf": now,
            "sub": account.name.subject(),
        })
    }

    /// A token as the controller manager puts it into a Secret.
    pub(super) fn long_lived(&self, account: &Account, secret: &str) -> Result<SecretString> {
        let ServiceAccountRef { namespace, name } = &account.name;
        let claims = json!({
            "iss": LONG_LIVED,
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": name,
            "kubernetes.io/serviceaccount/service-account.uid": account.uid,
            "sub": account.name.subject(),
        });
        self.token(&self.signer, &claims)
    }

    fn token(&self, signer: &Signer, claims: &Value) -> Result<SecretString> {
        let header = json!({ "alg": self.signer.algorithm(), "kid": self.signer.kid() });
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(signer.sign(text.as_bytes())?);
        Ok(SecretString::from(format!("{text}.{signature}")))
    }

    /// Judges a token for whoever it is presented to. `exists` says what account has a name now.
    ///
    /// # Errors
    /// What the API server has against it; nothing where the token is not this cluster's at all.
    pub(super) fn check(
        &self,
        token: &str,
        wanted: &[String],
        now: u64,
        exists: impl Fn(&ServiceAccountRef) -> Option<Account>,
    ) -> Result<Genuine, Option<String>> {
        let (signed, signature) = token.rsplit_once('.').ok_or(None)?;
        let claims = signed.split_once('.').and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok()).ok_or(None)?;
        let claims: Value = serde_json::from_slice(&claims).map_err(|_| None)?;
        let issuer = claims["iss"].as_str().unwrap_or_default();
        let long_lived = issuer == LONG_LIVED;
        if !long_lived && issuer != self.url {
            return Err(None);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| None)?;
        if !self.signer.verifies(signed.as_bytes(), &signature) {
            return Err(Some("go-jose/go-jose: error in cryptographic primitive".to_owned()));
        }
        let audiences = if long_lived {
            self.audiences.clone()
        } else {
            serde_json::from_value(claims["aud"].clone()).unwrap_or_default()
        };
        let found: Vec<String> = wanted.iter().filter(|audience| audiences.contains(audience)).cloned().collect();
        if found.is_empty() {
            let (has, wants) = (quoted(&audiences), quoted(wanted));
            return Err(Some(format!("token audiences {has} is invalid for the target audiences {wants}")));
        }
        if !long_lived && claims["exp"].as_u64().is_none_or(|expires| expires < now) {
            return Err(Some("service account token has expired".to_owned()));
        }
        let text = |pointer: &str| claims.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let long = "/kubernetes.io~1serviceaccount~1";
        let (namespace, name, uid) = if long_lived {
            (
                text(&format!("{long}namespace")),
                text(&format!("{long}service-account.name")),
                text(&format!("{long}service-account.uid")),
            )
        } else {
            let own = "/kubernetes.io/";
            (
                text(&format!("{own}namespace")),
                text(&format!("{own}serviceaccount/name")),
                text(&format!("{own}serviceaccount/uid")),
            )
        };
        let name = ServiceAccountRef { namespace, name };
        let Some(account) = exists(&name) else {
            return Err(Some(format!("serviceaccounts \"{}\" not found", name.name)));
        };
        if account.uid != uid {
            return Err(Some(format!("service account UID ({}) does not match claim ({uid})", account.uid)));
        }
        Ok(Genuine { account, audiences: found, id: claims["jti"].as_str().map(str::to_owned) })
    }
}

/// Puts a claim into others, by its name or by a pointer to it.
fn put(claims: &mut Value, claim: &str, value: &str) {
    let Some(pointer) = claim.strip_prefix('/') else {
        claims[claim] = value.into();
        return;
    };
    let mut at = claims;
    for segment in pointer.split('/') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[segment.replace("~1", "/").replace("~0", "~")];
    }
    *at = value.into();
}

/// A list as Go prints it with `%q`.
fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

/// A random name as Kubernetes gives its objects (RFC 9562, version 4).
pub(super) fn uuid() -> String {
    let bits: u128 = rand::random();
    let hex = format!("{:032x}", (bits & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
