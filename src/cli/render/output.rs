//! Where rendered files go: to standard output, into a folder, or beside what a folder holds already.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::Context;
use crate::error::{Error, Outcome, Result};
use crate::input::{self, CONFIGURATION};
use crate::render::{FormName, Rendered, RenderedFile};

/// The arguments of every form that comes to files.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// Write the files into this folder, one below it for each cluster, in place of standard output
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

/// What a folder holds of the files of one form.
struct Folder<'a> {
    path: &'a Path,
    /// The texts of ours, by their paths below it.
    ours: BTreeMap<String, String>,
}

impl OutputArgs {
    /// Writes or compares, and says what came of it.
    ///
    /// # Errors
    /// Where a file can't be read or written, or is somebody else's: then nothing is written.
    pub(super) fn put(&self, context: &Context, rendered: &Rendered, clusters: &[String]) -> Result<Outcome> {
        for (warning, remedy) in &rendered.warnings {
            context.ui.caution(&Error::failed(warning.clone()).remedy(remedy.clone()));
        }
        match (&self.out, &self.check) {
            (Some(folder), _) => self.write(context, rendered, &Folder::read(folder, clusters, rendered.form)?),
            (None, Some(folder)) => check(context, rendered, &Folder::read(folder, clusters, rendered.form)?),
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

    fn write(&self, context: &Context, rendered: &Rendered, folder: &Folder<'_>) -> Result<Outcome> {
        let mut changed = Vec::new();
        for file in &rendered.files {
            match (folder.ours.get(&file.path), there(&folder.path.join(&file.path))?) {
                (Some(text), _) if *text == file.text => {}
                (None, true) if !self.force => {
                    let path = folder.path.join(&file.path);
                    return Err(Error::failed(format!(
                        "{} is there, and this command didn't write it",
                        path.display()
                    ))
                    .remedy("name another folder, move the file, or let it be written over with --force"));
                }
                _ => changed.push(file),
            }
        }
        // All of them are written beside their places before any takes its own.
        let mut beside = Vec::new();
        for file in &changed {
            match Beside::write(folder.path, file) {
                Ok(file) => beside.push(file),
                Err(error) => {
                    beside.iter().for_each(Beside::discard);
                    return Err(error);
                }
            }
        }
        for file in &beside {
            file.settle()?;
        }
        let stale = folder.stale(rendered);
        if self.prune {
            for path in &stale {
                let path = folder.path.join(path);
                fs::remove_file(&path).map_err(|error| failed("could not be deleted", &path, error))?;
            }
        } else {
            for path in &stale {
                context.ui.caution(
                    &Error::failed(format!("{} is not rendered any more", folder.path.join(path).display()))
                        .remedy("delete it, or render with --prune"),
                );
            }
        }
        context.ui.status(&format!(
            "{} files in {}: {} written, {} as they were{}",
            rendered.files.len(),
            folder.path.display(),
            changed.len(),
            rendered.files.len() - changed.len(),
            if self.prune && !stale.is_empty() { format!(", {} deleted", stale.len()) } else { String::new() }
        ));
        Ok(Outcome::Done)
    }
}

/// Shows how the folder differs from what would be written.
fn check(context: &Context, rendered: &Rendered, folder: &Folder<'_>) -> Result<Outcome> {
    let mut stale = 0;
    let mut differences = String::new();
    for file in &rendered.files {
        let path = folder.path.join(&file.path);
        let held = match folder.ours.get(&file.path) {
            Some(text) => text.clone(),
            None if there(&path)? => read(&path)?,
            None => String::new(),
        };
        if held != file.text {
            stale += 1;
            differences += &difference(&path, &held, &file.text);
        }
    }
    for path in folder.stale(rendered) {
        stale += 1;
        differences += &difference(&folder.path.join(path), folder.ours.get(path).map_or("", String::as_str), "");
    }
    if stale == 0 {
        context.ui.status(&format!(
            "{} files in {} are as they would be rendered",
            rendered.files.len(),
            folder.path.display()
        ));
        return Ok(Outcome::Done);
    }
    context.ui.text(|out| out.write_all(differences.as_bytes()))?;
    Err(Error::failed(format!("{stale} files in {} are not as they would be rendered", folder.path.display()))
        .remedy("render them again with --out, and commit them"))
}

fn difference(path: &Path, held: &str, wanted: &str) -> String {
    let name = path.display().to_string();
    similar::TextDiff::from_lines(held, wanted)
        .unified_diff()
        .context_radius(2)
        .header(&name, &format!("{name} (rendered)"))
        .to_string()
}

impl<'a> Folder<'a> {
    /// Reads what of these clusters' folders this command wrote.
    fn read(path: &'a Path, clusters: &[String], form: FormName) -> Result<Self> {
        let mut ours = BTreeMap::new();
        for cluster in clusters {
            let below = path.join(cluster);
            let entries = match fs::read_dir(&below) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("could not be read", &below, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| failed("could not be read", &below, error))?;
                let name = entry.file_name();
                let Some(name) =
                    name.to_str().filter(|name| Path::new(name).extension().is_some_and(|end| end == "yaml"))
                else {
                    continue;
                };
                if !entry.path().is_file() {
                    continue;
                }
                let text = read(&entry.path())?;
                if text.starts_with(&form.header()) {
                    ours.insert(format!("{cluster}/{name}"), text);
                }
            }
        }
        Ok(Self { path, ours })
    }

    /// Ours that are not rendered any more.
    fn stale(&self, rendered: &Rendered) -> Vec<&String> {
        let now: BTreeSet<&str> = rendered.files.iter().map(|file| file.path.as_str()).collect();
        self.ours.keys().filter(|path| !now.contains(path.as_str())).collect()
    }
}

/// A file that waits beside its place.
struct Beside {
    at: PathBuf,
    place: PathBuf,
}

impl Beside {
    fn write(folder: &Path, file: &RenderedFile) -> Result<Self> {
        let place = folder.join(&file.path);
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| failed("could not be made", parent, error))?;
        let at = place.with_extension("yaml.new");
        fs::write(&at, &file.text).map_err(|error| failed("could not be written", &at, error))?;
        Ok(Self { at, place })
    }

    fn settle(&self) -> Result<()> {
        fs::rename(&self.at, &self.place).map_err(|error| failed("could not be written", &self.place, error))
    }

    fn discard(&self) {
        // What can't be removed again is named by the error that led here.
        let _best_effort = fs::remove_file(&self.at);
    }
}

fn there(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| failed("could not be looked at", path, error))
}

fn read(path: &Path) -> Result<String> {
    input::read_text(path, CONFIGURATION).map_err(|error| failed("could not be read", path, error))
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!("{} {what}", path.display())).because(error)
}
