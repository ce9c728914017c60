//! What may come in, and how much of it: one reader for files and pipes, one for the bodies of answers, and the limits of both.
//!
//! A file may be `/dev/zero`, a pipe that nobody writes to, a folder; a server may answer without end, a byte a minute or a
//! million empty objects. Each is refused before it costs more than some megabytes and a moment. `docs/limits.md` has the table.
//!
//! Text is read in whichever encoding it was saved in (`text`); what holds something else than what is meant is refused by what it is
//! (`kind`).

mod kind;
mod text;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame};
use zeroize::Zeroizing;

pub(crate) use self::kind::{InputKind, check};
use crate::limit::{Limit, Meter};

/// The configuration file.
pub const CONFIGURATION: Limit = Limit { what: "configuration file", bytes: 4 << 20 };
/// A kubeconfig.
pub const KUBECONFIG: Limit = Limit { what: "kubeconfig", bytes: 4 << 20 };
/// A key set, a discovery document, or another document that a cluster publishes.
pub const DOCUMENT: Limit = Limit { what: "key set or discovery document", bytes: 4 << 20 };
/// Certificates of authorities, and a client certificate with its key.
pub const CERTIFICATES: Limit = Limit { what: "file of certificates", bytes: 4 << 20 };
/// A saved plan.
pub const PLAN: Limit = Limit { what: "saved plan", bytes: 16 << 20 };
/// A token, a JWT or another secret.
pub const SECRET: Limit = Limit { what: "token or other secret", bytes: 64 << 10 };
/// What a credential plugin of a kubeconfig prints.
pub const CREDENTIALS: Limit = Limit { what: "output of a credential plugin", bytes: 1 << 20 };
/// A capture of `verify-role`.
pub const CAPTURE: Limit = Limit { what: "capture", bytes: 64 << 20 };
/// The settings of Vault's CLI.
pub const CLI_SETTINGS: Limit = Limit { what: "configuration of Vault's CLI", bytes: 1 << 20 };
/// The answers of Vault that are being read at a time, and those of a cluster.
pub const ANSWER: Limit = Limit { what: "answer of a server", bytes: 16 << 20 };

/// All limits, for the documentation.
pub const LIMITS: [Limit; 10] =
    [CONFIGURATION, KUBECONFIG, DOCUMENT, CERTIFICATES, PLAN, SECRET, CREDENTIALS, CAPTURE, CLI_SETTINGS, ANSWER];

/// How long a pipe may have nobody who writes to it.
const WRITER: Duration = Duration::from_millis(900);

/// How long whoever writes to a pipe may take.
const WRITING: Duration = Duration::from_secs(30);

/// Reads a file, or what stands in for one, such as a pipe.
///
/// # Errors
/// When it can't be read, is a folder, has too much, or nobody writes to it.
pub fn read(path: &Path, limit: Limit) -> io::Result<Zeroizing<Vec<u8>>> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if kind.is_file() {
        return read_from(File::open(path)?, limit);
    }
    // Already opening a pipe waits for somebody to write to it. Whoever waits in vain ends with the process.
    let (sender, receiver) = sync_channel(2);
    let path = path.to_owned();
    thread::Builder::new().spawn(move || {
        let opened = match File::open(path) {
            Ok(file) => sender.send(Ok(None)).is_ok().then_some(file),
            Err(error) => {
                // Nobody listens any more.
                let _unheard = sender.send(Err(error));
                None
            }
        };
        if let Some(file) = opened {
            let _unheard = sender.send(read_from(file, limit).map(Some));
        }
    })?;
    let mut wait = WRITER;
    loop {
        match receiver.recv_timeout(wait) {
            Ok(Ok(Some(bytes))) => return Ok(bytes),
            Ok(Ok(None)) => wait = WRITING,
            Ok(Err(error)) => return Err(error),
            Err(RecvTimeoutError::Timeout) if wait == WRITER => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it is a pipe, and nobody writes to it"));
            }
            Err(_) => {
                let seconds = WRITING.as_secs();
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it didn't end within {seconds} s")));
            }
        }
    }
}

/// Reads the text of a file, or of what stands in for one.
///
/// # Errors
/// Those of [`read`], and when it is no text.
pub fn read_text(path: &Path, limit: Limit) -> io::Result<String> {
    read_secret(path, limit).map(|mut text| std::mem::take(&mut *text))
}

/// The same, of a text that may be a secret.
///
/// # Errors
/// Those of [`read_text`].
pub fn read_secret(path: &Path, limit: Limit) -> io::Result<Zeroizing<String>> {
    text_of(read(path, limit)?)
}

/// Reads the text of standard input, which may take its time: whoever waits can end it.
///
/// # Errors
/// When it can't be read, has too much, or is no text.
pub fn read_stdin(limit: Limit) -> io::Result<String> {
    text_of(read_from(io::stdin().lock(), limit)?).map(|mut text| std::mem::take(&mut *text))
}

/// Reads to the end, or to the limit.
///
/// # Errors
/// When it can't be read or has too much.
pub fn read_from(source: impl Read, limit: Limit) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    source.take(limit.bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit.bytes { Err(limit.exceeded()) } else { Ok(bytes) }
}

/// The text of what was read: UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// When it is no text; nothing of it is quoted.
pub fn text_of(bytes: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    text::decode(bytes)
}

/// The same of PEM, whose words around the blocks may be in any encoding.
///
/// # Errors
/// When it is no text; nothing of it is quoted.
pub fn pem_of(bytes: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    text::decode_pem(bytes)
}

/// Reads a file of certificates in PEM form.
///
/// # Errors
/// Those of [`read`], and when it is no text.
pub fn read_pem(path: &Path) -> io::Result<String> {
    pem_of(read(path, CERTIFICATES)?).map(|mut text| std::mem::take(&mut *text))
}

/// Why the body of an answer could not be read.
#[derive(Debug)]
pub enum Unread<E> {
    /// It broke off.
    Lost(E),
    /// It is too much.
    TooMuch(io::Error),
}

/// Reads the body of an answer. How long that takes is for the client that asked.
///
/// # Errors
/// When it breaks off or is too much.
pub async fn read_body<B: Body<Data = Bytes> + Unpin>(body: B, limit: Limit) -> Result<Vec<u8>, Unread<B::Error>> {
    Reading::new(limit).body(body).await
}

/// What reads the bodies of several answers at a time: the limit is for all of them together.
#[derive(Debug)]
pub struct Reading {
    limit: Limit,
    taken: AtomicUsize,
}

impl Reading {
    /// One that reads nothing yet.
    pub fn new(limit: Limit) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    /// Reads the body of an answer. How long that takes is for the client that asked.
    ///
    /// # Errors
    /// When it breaks off or is too much.
    pub async fn body<B: Body<Data = Bytes> + Unpin>(&self, mut body: B) -> Result<Vec<u8>, Unread<B::Error>> {
        if body.size_hint().lower() > self.limit.bytes as u64 {
            return Err(Unread::TooMuch(self.limit.exceeded()));
        }
        let (mut meter, mut whole) = (Meter::new(self.limit), Vec::new());
        let mut share = Share { of: &self.taken, bytes: 0 };
        while let Some(frame) = body.frame().await {
            let Ok(part) = frame.map_err(Unread::Lost)?.into_data() else { continue };
            meter.take(&part).map_err(Unread::TooMuch)?;
            share.bytes += part.len();
            if self.taken.fetch_add(part.len(), Ordering::Relaxed) + part.len() > self.limit.bytes {
                return Err(Unread::TooMuch(self.limit.exceeded()));
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }
}

/// What one body takes of what there is for all, until it is read.
struct Share<'a> {
    of: &'a AtomicUsize,
    bytes: usize,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The body of an answer that somebody else reads: it ends with an error where it is too much, or takes too long.
pub struct Bounded<B> {
    body: Pin<Box<B>>,
    meter: Meter,
    end: Pin<Box<tokio::time::Sleep>>,
}

impl<B> Bounded<B> {
    /// Bounds a body that is to have arrived by then.
    pub fn new(body: B, limit: Limit, time: Duration) -> Self {
        Self { body: Box::pin(body), meter: Meter::new(limit), end: Box::pin(tokio::time::sleep(time)) }
    }
}

impl<B: Body<Data = Bytes>> Body for Bounded<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.end.as_mut().poll(context).is_ready() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the answer didn't end in time");
            return Poll::Ready(Some(Err(error.into())));
        }
        let Some(frame) = ready!(self.body.as_mut().poll_frame(context)) else { return Poll::Ready(None) };
        let frame = frame.map_err(Into::into)?;
        if let Some(part) = frame.data_ref() {
            self.meter.take(part)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_refused_and_what_just_fits_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        let limit = Limit { what: "test", bytes: 8 };
        for (text, read) in [("", true), ("12345678", true), ("123456789", false)] {
            fs::write(&file, text).unwrap();
            assert_eq!(read_text(&file, limit).ok().as_deref(), read.then_some(text));
        }
        assert_eq!(super::read(folder.path(), limit).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(super::read(&folder.path().join("none"), limit).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&file, [0xff]).unwrap();
        assert_eq!(read_text(&file, limit).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_without_end_and_a_pipe_without_a_writer_are_refused() {
        assert_eq!(read(Path::new("/dev/zero"), DOCUMENT).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&pipe, DOCUMENT).unwrap_err().kind(), io::ErrorKind::TimedOut);
        // Whoever waited for the first one still does.
        let pipe = folder.path().join("another");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, "late").unwrap()
        });
        assert_eq!(read_text(&pipe, DOCUMENT).unwrap(), "late");
        writer.join().unwrap();
    }
}
