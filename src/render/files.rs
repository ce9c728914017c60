//! What a form comes to: files with their texts.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::manifest::Manifest;
use crate::document::Report;
use crate::error::{Error, Result};
use crate::names::ClusterName;

/// What a form is called on the command line, and its files begin with: a file that begins otherwise is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormName(pub &'static str);

impl FormName {
    /// The first line of each file.
    pub fn header(self) -> String {
        format!("# Rendered ({}) by vaultk8s: change the configuration, and render it again.\n", self.0)
    }
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenderedFile {
    /// Its path below the folder that it is written to, with `/`.
    pub path: String,
    /// What is in it, the header included.
    pub text: String,
}

/// All files of a form, in the order in which they make sense to be read.
#[derive(Debug, Serialize)]
pub struct Rendered {
    /// The form.
    #[serde(skip)]
    pub form: FormName,
    /// The files.
    pub files: Vec<RenderedFile>,
    /// What could not be said in this form, and what to do.
    #[serde(skip)]
    pub warnings: Vec<(String, String)>,
}

impl Rendered {
    /// Nothing yet of a form.
    pub(super) fn new(form: &'static str) -> Self {
        Self { form: FormName(form), files: Vec::new(), warnings: Vec::new() }
    }

    /// Adds a manifest, in a cluster's folder.
    ///
    /// # Errors
    /// When it has no YAML form.
    pub(super) fn add<C: Serialize>(&mut self, cluster: &ClusterName, manifest: &Manifest<C>) -> Result<()> {
        self.add_as(format!("{cluster}/{}", manifest.file_name()), manifest)
    }

    /// Adds a manifest in a file of this path.
    ///
    /// # Errors
    /// When it has no YAML form.
    pub(super) fn add_as<C: Serialize>(&mut self, path: String, manifest: &Manifest<C>) -> Result<()> {
        let yaml = serde_saphyr::to_string(manifest)
            .map_err(|error| Error::failed(format!("{path} has no YAML form")).because(error))?;
        self.files.push(RenderedFile { path, text: format!("{}{yaml}", self.form.header()) });
        Ok(())
    }
}

impl Report for Rendered {
    const KIND: &'static str = "Rendered";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let header = self.form.header();
        out.write_all(header.as_bytes())?;
        for file in &self.files {
            let text = file.text.strip_prefix(&header).unwrap_or(&file.text);
            if !text.starts_with("---\n") {
                out.write_all(b"---\n")?;
            }
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}
