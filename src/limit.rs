//! How much of an input is taken: in bytes, and of JSON in values too.

use std::fmt;
use std::io;

/// How much of an input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What it is, in the documentation.
    pub what: &'static str,
    /// The most bytes that it may have.
    pub bytes: usize,
}

/// The most values that a JSON text may have: each takes more memory than the few bytes that it is written in.
pub const VALUES: usize = 400_000;

impl fmt::Display for Limit {
    /// `4 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = if self.bytes >= 1 << 20 { (self.bytes >> 20, "MiB") } else { (self.bytes >> 10, "KiB") };
        write!(f, "{count} {unit}")
    }
}

impl Limit {
    /// What is said of more.
    pub fn exceeded(self) -> io::Error {
        io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {self}, which no {} has", self.what))
    }
}

/// Whether a JSON text has more values than anything that is meant.
pub fn has_too_many_values(json: &[u8]) -> bool {
    Meter::new(Limit { what: "JSON text", bytes: usize::MAX }).take(json).is_err()
}

/// What is measured of an input while it arrives.
#[derive(Debug)]
pub struct Meter {
    limit: Limit,
    bytes: usize,
    values: usize,
    inside: bool,
    escaped: bool,
}

impl Meter {
    /// One that has seen nothing yet.
    pub fn new(limit: Limit) -> Self {
        Self { limit, bytes: 0, values: 0, inside: false, escaped: false }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// When it is too much by now.
    pub fn take(&mut self, part: &[u8]) -> io::Result<()> {
        self.bytes += part.len();
        if self.bytes > self.limit.bytes {
            return Err(self.limit.exceeded());
        }
        for byte in part {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.inside => self.escaped = true,
                b'"' => self.inside = !self.inside,
                // Each value but the first of a list or an object has a comma before it, and each list and object a bracket.
                b',' | b'{' | b'[' if !self.inside => self.values += 1,
                _ => {}
            }
        }
        if self.values > VALUES {
            let text = format!("it has more than {VALUES} values, which no {} has", self.limit.what);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_not_what_texts_hold() {
        let many = |unit: &str, count: usize| format!("[{}]", vec![unit; count].join(","));
        assert!(!has_too_many_values(many("{}", VALUES / 2 - 2).as_bytes()));
        assert!(has_too_many_values(many("{}", VALUES / 2 + 2).as_bytes()));
        assert!(!has_too_many_values(format!("\"{}\"", ",[{\\\"".repeat(VALUES)).as_bytes()));
    }
}
