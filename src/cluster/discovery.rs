//! The issuer and the keys of a cluster, from its OpenID discovery endpoints.
//!
//! Source: <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery>

use serde::Deserialize;

use super::connect::Connection;
use crate::error::{Error, Result};
use crate::fix::Kubectl;

const PATH: &str = "/.well-known/openid-configuration";

/// The part of `/.well-known/openid-configuration` that matters here.
#[derive(Debug, Clone, Deserialize)]
pub struct Discovery {
    /// The `iss` of the cluster's service account tokens, byte for byte.
    pub issuer: String,
    /// Where it publishes its keys, as it sees itself from outside.
    #[serde(default)]
    pub jwks_uri: Option<String>,
}

impl Discovery {
    /// Takes a discovery document for what it says.
    ///
    /// # Errors
    /// When it is none, or names no issuer.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let discovery: Self = serde_json::from_str(text).map_err(|error| {
            Error::failed(format!("{origin} is not an OpenID discovery document"))
                .because(error)
                .remedy(format!("look at {}", Kubectl::default().run("get --raw").arg(PATH).shown()))
        })?;
        if discovery.issuer.is_empty() {
            return Err(Error::failed(format!("{origin} names no issuer"))
                .remedy("the API server needs --service-account-issuer"));
        }
        Ok(discovery)
    }
}

/// Reads the discovery document.
///
/// # Errors
/// When the API server can't be reached, refuses, or answers with something else.
pub async fn discovery(connection: &Connection) -> Result<Discovery> {
    let text = get(connection, PATH, "the issuer").await?;
    Discovery::parse(&text, &format!("{}{PATH}", connection.server()))
}

/// Reads the JSON Web Key Set as the API server gives it.
///
/// # Errors
/// When the API server can't be reached or refuses.
pub async fn jwks_text(connection: &Connection) -> Result<String> {
    get(connection, "/openid/v1/jwks", "the keys").await
}

async fn get(connection: &Connection, path: &str, what: &str) -> Result<String> {
    let request = http::Request::get(path)
        .header(http::header::ACCEPT, "application/json, application/jwk-set+json")
        .body(Vec::new())
        .map_err(|error| Error::failed(format!("the request for {path} could not be built")).because(error))?;
    let text = connection.client().request_text(request).await;
    text.map_err(|error| Error::from(connection.refused(&format!("{what} ({path})"), error)))
}
