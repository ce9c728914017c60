//! Where rendered files go: to standard output, into a folder, or beside what a folder holds already.

use std::io::{self, Write as Out};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::Context;
use super::folder::{Folder, Scope};
use crate::document::Report;
use crate::error::{Error, Outcome, Result};
use crate::render::{Rendered, RenderedFile};

/// The arguments of every form that comes to files.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Write the files into this folder, in place of standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compare with the files in this folder, and change nothing: exit code 1 where they are not as they would be written
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "force", "prune"])]
    check: Option<PathBuf>,
    /// Write also over files that this command didn't write
    #[arg(long, requires = "out")]
    force: bool,
    /// Delete the files that it wrote earlier and doesn't write any more
    #[arg(long, requires = "out")]
    prune: bool,
}

/// What became of a folder's files, or would; by their paths below it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FolderReport {
    /// The folder.
    folder: PathBuf,
    /// Whether it was only looked at.
    checked: bool,
    /// Files that were written, or are not as they would be.
    changed: Vec<String>,
    /// Files that are as they would be written.
    unchanged: Vec<String>,
    /// Files of an earlier run that are not rendered any more.
    stale: Vec<String>,
    /// Those of them that were deleted.
    deleted: Vec<String>,
    /// How the files differ, as a patch; nothing where they were written.
    #[serde(skip_serializing_if = "String::is_empty")]
    difference: String,
}

impl Report for FolderReport {
    const KIND: &'static str = "RenderedFolder";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        out.write_all(self.difference.as_bytes())
    }
}

impl OutputArgs {
    /// Writes or compares, and says what came of it. `clusters` are those that a stream of
    /// manifests would be for.
    ///
    /// # Errors
    /// Where a file can't be read or written, or is somebody else's: then nothing is written.
    pub(super) fn put(
        &self,
        context: &Context,
        rendered: &Rendered,
        scope: &Scope,
        clusters: &[String],
    ) -> Result<Outcome> {
        for (warning, remedy) in &rendered.warnings {
            context.ui.caution(&Error::failed(warning.clone()).remedy(remedy.clone()));
        }
        match (&self.out, &self.check) {
            (Some(path), _) => self.write(context, rendered, path, &Folder::read(path, rendered, scope)?),
            (None, Some(path)) => check(context, rendered, path, &Folder::read(path, rendered, scope)?),
            (None, None) if clusters.len() > 1 => Err(Error::usage(format!(
                "the configuration has {} clusters, and one stream of manifests is for one",
                clusters.len()
            ))
            .remedy(format!("name the cluster with --cluster: {}", clusters.join(", ")))
            .remedy("or write a folder for each with --out DIR")),
            (None, None) => {
                context.ui.report(rendered)?;
                Ok(Outcome::Done)
            }
        }
    }

    fn write(&self, context: &Context, rendered: &Rendered, path: &Path, folder: &Folder<'_>) -> Result<Outcome> {
        let mut changed: Vec<&RenderedFile> = Vec::new();
        for file in &rendered.files {
            if folder.text(&file.path) == Some(&file.text) {
                continue;
            }
            if !self.force && folder.is_taken(&file.path)? {
                let place = folder.place(&file.path);
                return Err(Error::failed(format!("{} is there, and this command didn't write it", place.display()))
                    .remedy("name another folder, move the file, or let it be written over with --force"));
            }
            changed.push(file);
        }
        folder.write(&changed)?;
        let stale = folder.stale(rendered);
        if self.prune {
            folder.delete(&stale)?;
        } else {
            for file in &stale {
                let place = folder.place(file);
                context.ui.caution(
                    &Error::failed(format!("{} is not rendered any more", place.display()))
                        .remedy("delete it, or render with --prune"),
                );
            }
        }
        let deleted = if self.prune { stale.clone() } else { Vec::new() };
        context.ui.status(&format!(
            "{} in {}: {} written, {} as they were{}",
            files(rendered.files.len()),
            path.display(),
            changed.len(),
            rendered.files.len() - changed.len(),
            if deleted.is_empty() { String::new() } else { format!(", {} deleted", deleted.len()) }
        ));
        let changed: Vec<String> = changed.into_iter().map(|file| file.path.clone()).collect();
        let unchanged = rendered.files.iter().map(|file| file.path.clone()).filter(|path| !changed.contains(path));
        context.ui.report(&FolderReport {
            folder: path.to_owned(),
            checked: false,
            unchanged: unchanged.collect(),
            changed,
            stale,
            deleted,
            difference: String::new(),
        })?;
        Ok(Outcome::Done)
    }
}

/// Shows how the folder differs from what would be written.
fn check(context: &Context, rendered: &Rendered, path: &Path, folder: &Folder<'_>) -> Result<Outcome> {
    let mut report = FolderReport {
        folder: path.to_owned(),
        checked: true,
        changed: Vec::new(),
        unchanged: Vec::new(),
        stale: folder.stale(rendered),
        deleted: Vec::new(),
        difference: String::new(),
    };
    for file in &rendered.files {
        let place = folder.place(&file.path);
        let held = match folder.text(&file.path) {
            Some(text) => text.to_owned(),
            None => folder.text_of_others(&file.path)?,
        };
        if held == file.text {
            report.unchanged.push(file.path.clone());
        } else {
            report.changed.push(file.path.clone());
            report.difference += &difference(&place, &held, &file.text);
        }
    }
    for file in &report.stale {
        report.difference += &difference(&folder.place(file), folder.text(file).unwrap_or_default(), "");
    }
    let wrong = report.changed.len() + report.stale.len();
    context.ui.report(&report)?;
    if wrong == 0 {
        context.ui.status(&format!("{} in {} as rendered", files(rendered.files.len()), path.display()));
        return Ok(Outcome::Done);
    }
    context.ui.warn(&format!(
        "{} in {} not as rendered: render with --out, and commit what changes",
        files(wrong),
        path.display()
    ));
    Ok(Outcome::ChecksFailed)
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn difference(path: &Path, held: &str, wanted: &str) -> String {
    let name = path.display().to_string();
    let lines = similar::TextDiff::from_lines(held, wanted);
    lines.unified_diff().context_radius(2).header(&name, &format!("{name} (rendered)")).to_string()
}
