//! The answers of a run, as a capture has them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::{Answer, Key};
use super::{Facts, questions};
use crate::error::{Error, Result};

/// A question and its answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Captured {
    question: String,
    /// What the question is about; nothing where there is one of its kind.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    about: Value,
    answer: Value,
}

/// The answers of a capture, each until somebody asks for it.
pub(crate) struct Answers(Mutex<HashMap<Key, Box<dyn Answer>>>);

/// A question that a capture has no answer to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unanswered(Key);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { name, about } = &self.0;
        write!(f, "the capture doesn't have the answer to the question `{name}`")?;
        if about == "null" { Ok(()) } else { write!(f, " about {about}") }
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        Self::failed(unanswered.to_string())
    }
}

impl Answers {
    /// Reads all of them.
    ///
    /// # Errors
    /// The place, and what is wrong there.
    pub(crate) fn read(captured: Vec<Captured>) -> Result<Self, String> {
        let mut all = HashMap::new();
        for (at, Captured { question, about, answer }) in captured.into_iter().enumerate() {
            let Some((name, read)) = questions::ALL.iter().find(|(name, _)| *name == question) else {
                return Err(format!("answers[{at}]: there is no question {question:?}"));
            };
            let answer = read(answer).map_err(|error| format!("answers[{at}], to the question {name:?}: {error}"))?;
            if all.insert(Key::new(name, about), answer).is_some() {
                return Err(format!("answers[{at}]: the question {name:?} is answered already"));
            }
        }
        Ok(Self(Mutex::new(all)))
    }

    /// Gives an answer to who asks for it.
    pub(super) fn take(&self, key: Key) -> Result<Box<dyn Answer>, Unanswered> {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        answer.ok_or(Unanswered(key))
    }
}

impl Facts {
    /// All that came, in an order that depends on nothing else.
    ///
    /// # Errors
    /// When an answer has no JSON form.
    pub(crate) fn written(&self) -> Result<Vec<Captured>> {
        let mut keys = self.slots.keys_cloned();
        keys.sort();
        let mut all = Vec::new();
        for key in keys {
            let Some(answer) = self.slots.get(&key).and_then(|slot| slot.get()) else { continue };
            let no_form =
                |error| Error::failed(format!("the answer to {:?} has no JSON form", key.name)).because(error);
            let about = serde_json::from_str(&key.about).map_err(no_form)?;
            all.push(Captured { question: key.name.to_owned(), about, answer: answer.written().map_err(no_form)? });
        }
        Ok(all)
    }
}
