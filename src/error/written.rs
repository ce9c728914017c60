//! Errors in files: layer by layer, so that one that is read back is told in the same words.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Error, ErrorKind};

/// One layer of an error.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    said: String,
    /// Of an error of this program; a library's has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<ErrorKind>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    forbidden: bool,
}

/// The sentence of a library, and what is below it.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
struct Foreign {
    said: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Layer {
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let said = error.to_string();
        match error.downcast_ref::<Error>() {
            Some(own) => {
                Self { said, kind: Some(own.kind), remedies: own.remedies.clone(), forbidden: own.forbidden.is_some() }
            }
            None => Self { said, kind: None, remedies: Vec::new(), forbidden: false },
        }
    }

    /// This layer over what is below it.
    fn over(self, below: Option<Box<dyn std::error::Error + Send + Sync>>) -> Box<dyn std::error::Error + Send + Sync> {
        let Self { said, kind, remedies, forbidden } = self;
        match kind {
            Some(kind) => {
                // Whose refusal it was matters only while it can be asked.
                let forbidden = forbidden.then_some(super::By::Vault);
                Box::new(Error { kind, message: said, cause: below, remedies, forbidden })
            }
            None => Box::new(Foreign { said, source: below }),
        }
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = std::iter::successors(Some(self as &(dyn std::error::Error + 'static)), |error| error.source());
        serializer.collect_seq(all.map(Layer::of))
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let layers = Vec::<Layer>::deserialize(deserializer)?;
        let whole = layers.into_iter().rev().fold(None, |below, layer| Some(layer.over(below)));
        let own = whole.and_then(|whole| whole.downcast::<Self>().ok());
        own.map(|error| *error).ok_or_else(|| D::Error::custom("an error has a sentence, and says its kind"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_is_told_in_the_same_words() {
        let lowest = Error::failed("the server forbids it").remedy("ask for the right").forbidden();
        let library = Foreign { said: "a library".to_owned(), source: Some(Box::new(lowest)) };
        let error = Error::usage("the file can't be read").because(library).remedy("name another");
        let read: Error = serde_json::from_str(&serde_json::to_string(&error).unwrap()).unwrap();
        assert_eq!(read.to_string(), error.to_string());
        assert_eq!(read.causes(), ["a library", "the server forbids it"]);
        assert_eq!(read.remedies(), ["name another", "ask for the right"]);
        assert_eq!((read.kind(), read.is_forbidden()), (ErrorKind::Usage, true));
    }

    #[test]
    fn what_is_no_error_is_refused() {
        for text in ["[]", r#"[{"said":"a library"}]"#, r#"[{"said":"x","kind":"Failed","more":1}]"#] {
            assert!(serde_json::from_str::<Error>(text).is_err(), "{text}");
        }
    }
}
