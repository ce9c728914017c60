//! The keys behind the URL that Vault fetches them from, held against those that the cluster publishes: whoever runs that
//! URL decides whose tokens Vault takes for the cluster's.

use serde_json::Value;

use super::key_url::{Obstacle, Vantage, try_key_url};
use crate::error::Error;
use crate::keys::{Jwks, JwksError, Members, VerificationKey};
use crate::model::{KeyPlace, ServedKeys};

/// Fetches what Vault fetches, and compares it with the keys of a cluster.
///
/// # Errors
/// When it can't be fetched from here, or is no key set.
pub async fn served_keys(
    place: &KeyPlace,
    ca: Option<&str>,
    from: Vantage<'_>,
    published: &[VerificationKey],
) -> Result<ServedKeys, Obstacle> {
    let text = try_key_url(&place.url(), ca, from).await?;
    behind(place, text, ca, from, published).await
}

/// The same, from the answer to the first request on.
///
/// # Errors
/// When the rest can't be fetched from here, or is no key set.
pub(super) async fn behind(
    place: &KeyPlace,
    text: String,
    ca: Option<&str>,
    from: Vantage<'_>,
    published: &[VerificationKey],
) -> Result<ServedKeys, Obstacle> {
    let (url, jwks) = key_set(place, text, ca, from).await?;
    Ok(ServedKeys::compare(url, &jwks, published))
}

/// The key set that is at a place, and its URL, from the answer to the first request on.
///
/// # Errors
/// When the rest can't be fetched from here, or is no key set.
pub(super) async fn key_set(
    place: &KeyPlace,
    text: String,
    ca: Option<&str>,
    from: Vantage<'_>,
) -> Result<(String, Jwks), Obstacle> {
    let certain = |error| Obstacle { error, is_certain: true, is_closed: false };
    let (url, text) = match place {
        KeyPlace::Jwks { url } => (url.clone(), text),
        KeyPlace::Discovery { issuer } => {
            let url = jwks_uri(issuer, &place.url(), &text).map_err(certain)?;
            let text = try_key_url(&url, ca, from.behind(issuer)).await?;
            (url, text)
        }
    };
    match Jwks::parse(&text) {
        Ok(jwks) => Ok((url, jwks)),
        Err(JwksError::NoKeys) => {
            Ok((url, Jwks { keys: Vec::new(), refused: Vec::new(), misnamed: None, repeated: None }))
        }
        Err(error) => Err(certain(Error::failed(format!("{url} serves no key set")).because(error))),
    }
}

/// Where a discovery document says that the keys are.
pub(super) fn jwks_uri(issuer: &str, url: &str, text: &str) -> Result<String, Error> {
    let none = || Error::failed(format!("{url} answers, but not with an OpenID discovery document"));
    serde_json::from_str::<Value>(text).map_err(|error| none().because(error))?;
    // As Vault reads them, whose names are these in either case.
    let document = Members::of(text.as_bytes());
    let member = |name: &str| document.last(name).and_then(Value::as_str);
    let uri = member("jwks_uri").ok_or_else(none)?;
    let found = member("issuer").unwrap_or_default();
    if found != issuer {
        return Err(Error::failed(format!(
            "{url} is the document of the issuer {found:?}, and Vault must find {issuer:?} there"
        ))
        .remedy("let the issuer's server answer with the issuer that the cluster's tokens have"));
    }
    Ok(uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_counts_for_its_own_issuer_alone() {
        let text = r#"{"issuer":"https://k","jwks_uri":"https://k/keys"}"#;
        assert_eq!(jwks_uri("https://k", "u", text).unwrap(), "https://k/keys");
        for other in ["https://k/", "https://other"] {
            assert!(jwks_uri(other, "u", text).unwrap_err().to_string().contains("https://k"));
        }
        let twice = r#"{"issuer":"https://k","jwks_uri":"https://k/keys","JWKS_URI":"https://k/others"}"#;
        assert_eq!(jwks_uri("https://k", "u", twice).unwrap(), "https://k/others");
        assert!(jwks_uri("https://k", "u", "[]").is_err());
        assert!(jwks_uri("https://k", "u", r#"{"issuer":"https://k"}"#).is_err());
    }

    #[test]
    fn what_several_serve_lacks_what_none_of_them_has() {
        let served = |url: &str, foreign: &[&str], missing: &[&str]| {
            let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            ServedKeys { url: url.to_owned(), count: 2, foreign: names(foreign), missing: names(missing) }
        };
        let all = [served("a", &["x"], &["1", "2"]), served("b", &["x", "y"], &["2"])];
        let together = ServedKeys { count: 4, ..served("a and b", &["x", "y"], &["2"]) };
        assert_eq!(ServedKeys::together(all), together);
        assert_eq!(ServedKeys::together([]), ServedKeys::default());
    }

    #[test]
    fn an_entry_that_is_refused_is_a_foreign_one() {
        let jwks = Jwks::parse(r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"s"}]}"#).unwrap();
        let found = ServedKeys::compare("u".to_owned(), &jwks, &[]);
        assert_eq!((found.count, found.foreign.len()), (1, 1));
        assert!(!found.foreign[0].contains("AAAA"));
    }

    /// The keys of a set with an RSA key for each pair of letters; `x` is foreign.
    fn set(members: &str) -> String {
        let key = |letters: &str, kid: &str| {
            // Those that give a modulus without small factors.
            let n = "q".repeat(339) + letters + "w";
            format!(r#"{{"kty":"RSA","kid":"{kid}","n":"{n}","e":"AQAB"}}"#)
        };
        let all = [("OWN", key("AC", "one")), ("SAME", key("AF", "one")), ("OTHER", key("AK", "two"))];
        all.iter().fold(members.to_owned(), |text, (name, key)| text.replace(name, key))
    }

    #[test]
    fn a_foreign_key_is_seen_in_whichever_place_and_under_whichever_name() {
        let own = Jwks::parse(set(r#"{"keys":[OWN]}"#)).unwrap().into_keys().unwrap();
        for (served, foreign) in [
            (r#"{"keys":[OWN]}"#, 0),
            (r#"{"keys":[OWN,OWN],"else":[OTHER]}"#, 0),
            (r#"{"keys":[OWN,OTHER]}"#, 1),
            // Under the kid of the cluster's own key, before it and after it.
            (r#"{"keys":[SAME,OWN]}"#, 1),
            (r#"{"keys":[OWN,SAME]}"#, 1),
            (r#"{"keys":[OWN],"keys":[OWN,OTHER]}"#, 1),
            (r#"{"keys":[OWN],"Keys":[OWN,OTHER]}"#, 2),
            (r#"{"KEYS":[OWN,OTHER]}"#, 2),
            ("{\"keys\":[OWN],\"\u{212a}eys\":[OWN,OTHER]}", 2),
            ("{\"keys\":[OWN],\"key\u{17f}\":[OWN,OTHER]}", 2),
            // The last one counts, and nobody writes such a set by mistake.
            (r#"{"Keys":[OWN,OTHER],"keys":[OWN]}"#, 1),
        ] {
            let jwks = Jwks::parse(set(served)).unwrap();
            let found = ServedKeys::compare("u".to_owned(), &jwks, &own);
            assert_eq!((found.foreign.len(), found.missing.len()), (foreign, 0), "{served}: {found:?}");
        }
    }
}
