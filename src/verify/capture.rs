//! A run of `verify-role` as a document: what was looked at, the questions, their answers, and the time. From it the run is diagnosed
//! elsewhere, by whoever gets it, without anything being asked again.
//!
//! It holds names, policies, public keys and addresses. It holds no token: those never become facts, and it is searched for them before it
//! is written.

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::diagnosis::diagnose;
use super::facts::captured::Captured;
use super::facts::{Answers, Facts, Knows};
use super::report::Diagnosis;
use super::scenes::{Cases, Scenes};
use super::walk::Selection;
use crate::document::{API_VERSION, Head, json_document};
use crate::error::{Error, Result};
use crate::fix::vaultk8s;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The `kind` of its document.
pub const KIND: &str = "Capture";

/// The form of what is in it. It goes up with each change of a question, an answer or a case that an older program would read otherwise.
const FORM: u32 = 1;

/// The program that writes captures now.
const PROGRAM: &str = concat!("vaultk8s ", env!("CARGO_PKG_VERSION"));

/// What to do about one that can't be read.
fn remedy() -> String {
    format!("make it anew with this version: {}", vaultk8s("verify-role … --capture FILE").shown())
}

/// What stands in the document beside its version and kind.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body<S> {
    /// Written in front of all this, like the kind.
    #[serde(default, rename = "apiVersion", skip_serializing)]
    _api_version: IgnoredAny,
    #[serde(default, rename = "kind", skip_serializing)]
    _kind: IgnoredAny,
    form: u32,
    made_by: String,
    /// When it began, by the clock of the machine that asked.
    began: Timestamp,
    /// Which checks were made.
    selection: Selection,
    scenes: S,
    answers: Vec<Captured>,
}

/// What tells, beside its head, whether a capture can be read at all.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(default)]
    form: Option<u32>,
    #[serde(default)]
    made_by: String,
}

/// Writes what was looked at, and all that was answered.
///
/// # Errors
/// When it has no JSON form, or holds a token.
pub(super) fn write(scenes: &Scenes, selection: &Selection) -> Result<String> {
    let facts = scenes.vault.facts();
    let text = json_document(
        KIND,
        &Body {
            _api_version: IgnoredAny,
            _kind: IgnoredAny,
            form: FORM,
            made_by: PROGRAM.to_owned(),
            began: facts.began,
            selection: selection.clone(),
            scenes: scenes.written()?,
            answers: facts.written()?,
        },
    )?;
    let secrets = facts.servers().map(super::facts::Servers::secrets).unwrap_or_default();
    if secrets.iter().any(|secret| holds(&text, secret.expose_secret())) {
        return Err(Error::failed("nothing was captured: some server's answer holds a token of this run")
            .remedy("look for it in what the role's policies, metadata and objects say, and take it out there"));
    }
    Ok(text)
}

/// Whether a text holds a token, or of a JWT the signature, without which it is worth nothing.
fn holds(text: &str, token: &str) -> bool {
    let signature = token.splitn(3, '.').nth(2).filter(|signature| signature.len() > 16);
    (!token.is_empty() && text.contains(token)) || signature.is_some_and(|signature| text.contains(signature))
}

/// A run that was captured.
pub struct Capture {
    scenes: Scenes,
    selection: Selection,
}

impl Capture {
    /// Reads a capture. `origin` is what to call it.
    ///
    /// # Errors
    /// When it is something else, of another version, or damaged: usage, for nothing was looked at.
    pub fn read(text: &str, origin: &str) -> Result<Self> {
        let refused = |why: String| Error::usage(format!("{origin} {why}")).remedy(remedy());
        let damaged = |what: String| refused(format!("is damaged, or was edited: {what}"));
        let none = |error: serde_json::Error| refused(format!("is no capture of verify-role: {error}"));
        let head: Head = serde_json::from_str(text).map_err(none)?;
        let made: Made = serde_json::from_str(text).map_err(none)?;
        if head.kind != KIND {
            return Err(refused(format!("is no capture of verify-role: its kind is {:?}", head.kind)));
        }
        if head.api_version != API_VERSION || made.form != Some(FORM) {
            let form = made.form.map_or_else(|| "none".to_owned(), |form| form.to_string());
            return Err(refused(format!(
                "is a capture of the version {:?}, form {form}, made by {:?}; {PROGRAM} reads {API_VERSION:?}, form {FORM}",
                head.api_version, made.made_by
            )));
        }
        let body: Body<Cases> = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let answers = Answers::read(body.answers).map_err(damaged)?;
        let scenes = Scenes::of(body.scenes, Facts::captured(body.began, answers)).map_err(damaged)?;
        Ok(Self { scenes, selection: body.selection })
    }

    /// Diagnoses it: with the checks that are named, or where none are, with those of the run that made it.
    pub async fn diagnose(
        &self,
        selection: Option<&Selection>,
        parallelism: usize,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Diagnosis {
        let selection = selection.unwrap_or(&self.selection);
        diagnose(&self.scenes, selection, parallelism, interrupt, progress).await
    }
}

#[cfg(test)]
mod remedies;
#[cfg(test)]
mod tests;
