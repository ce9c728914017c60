//! Whether Vault can fetch a cluster's keys from the issuer of its tokens: whether that is there for everybody.

use super::inside::known_inside;
use super::issuer::{keys_at, named_keys};
use super::key_url::{Obstacle, Vantage};
use super::{Connection, KubeSettings, discovery, jwks_text, trusted_keys};
use crate::config::{ClusterSource, KeysFor};
use crate::error::{Error, Result};
use crate::model::ServedKeys;

/// Where Vault should take the keys of the cluster behind a context from. What can't be seen from here is a reason to pin them.
pub async fn keys_for(context: &str, settings: &KubeSettings) -> KeysFor {
    let source = ClusterSource::Context(Some(context.to_owned()));
    let asked = async {
        let connection = Connection::open(&source, settings).await?;
        judge(&connection, settings).await
    };
    asked.await.unwrap_or_else(|error| KeysFor::Pinned {
        why: format!("the cluster's issuer could not be read when this was written ({})", in_words(&error)),
    })
}

/// Judges the issuer of a cluster that answers.
async fn judge(connection: &Connection, settings: &KubeSettings) -> Result<KeysFor> {
    let (discovery, jwks) = tokio::try_join!(discovery(connection), jwks_text(connection))?;
    let published = trusted_keys(&jwks, connection.server())?;
    let issuer = discovery.issuer;
    let pinned = |why: String| Ok(KeysFor::Pinned { why: format!("the cluster's issuer, {issuer}, {why}") });
    let origin = |url: &str| url::Url::parse(url).ok().filter(|url| url.scheme() == "https").map(|url| url.origin());
    let Some(at) = origin(&issuer) else { return pinned("is no https URL that Vault could ask".to_owned()) };
    if Some(at) == origin(connection.server()) {
        return pinned("is its own API server, whose certificate no system trusts".to_owned());
    }
    if let Some(what) = known_inside(&issuer) {
        return pinned(format!("is {what}, which only the cluster's own network knows"));
    }
    let environment = settings.proxies().of_environment();
    let from = Vantage::new(None, &environment);
    let hidden = |obstacle: Obstacle| pinned(format!("is not there for everybody ({})", in_words(&obstacle.error)));
    let named = match named_keys(&issuer, None, from).await {
        Ok(named) => named,
        Err(obstacle) => return hidden(obstacle),
    };
    if let Some(what) = known_inside(&named) {
        return pinned(format!(
            "names {named} for its keys, {what}, which only the cluster's own network knows; with `keys: jwksUrl` and a `jwksUrl` that \
             Vault reaches it could fetch them"
        ));
    }
    let jwks = match keys_at(&named, None, from.behind(&issuer)).await {
        Ok(jwks) => jwks,
        Err(obstacle) => return hidden(obstacle),
    };
    let served = ServedKeys::compare(named, &jwks, &published);
    if !served.missing.is_empty() || !served.foreign.is_empty() {
        return pinned(format!("serves other keys at {} than the cluster itself", served.url));
    }
    Ok(KeysFor::PublicIssuer { issuer })
}

/// An error and its last cause, for a comment.
fn in_words(error: &Error) -> String {
    match error.causes().last() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
