//! What a form comes to: files with their texts.

use std::io::{self, Write as Out};

use serde::Serialize;

use crate::document::Report;

/// What each file of ours begins with: one without it is somebody else's.
pub const HEADER: &str = "# Rendered by `vaultk8s render`: change the configuration, and render it again.\n";

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenderedFile {
    /// Its path below the folder that it is written to, with `/`.
    pub path: String,
    /// What is in it, the header included.
    pub text: String,
}

/// All files of a form, in the order in which they make sense to be read.
#[derive(Debug, Default, Serialize)]
pub struct Rendered {
    /// The files.
    pub files: Vec<RenderedFile>,
    /// What could not be said in this form, and what to do.
    #[serde(skip)]
    pub warnings: Vec<(String, String)>,
}

impl Report for Rendered {
    const KIND: &'static str = "Rendered";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        out.write_all(HEADER.as_bytes())?;
        for file in &self.files {
            let text = file.text.strip_prefix(HEADER).unwrap_or(&file.text);
            if !text.starts_with("---\n") {
                out.write_all(b"---\n")?;
            }
            out.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}
