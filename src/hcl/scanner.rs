//! Tokens of HCL 1, after `hcl/scanner/scanner.go`.

use serde_json::Number;

use super::{SyntaxError, string};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Identifier(String),
    String(String),
    /// Unlike a string, never a key.
    Heredoc(String),
    Number(Number),
    Bool(bool),
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Assign,
    End,
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    /// Byte where the next token may begin.
    at: usize,
    line: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, SyntaxError> {
        let scanner = Self { text, at: 0, line: 1 };
        // Refused anywhere, comments and strings included.
        match text.find(['\0', '\u{e123}']) {
            None => Ok(scanner),
            Some(at) => Err(SyntaxError {
                line: 1 + text[..at].matches('\n').count(),
                problem: "a character that HCL reserves".into(),
            }),
        }
    }

    /// The line of the token that was read last.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fault<T>(&self, problem: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { line: self.line, problem: problem.into() })
    }

    /// Moves past the next `length` bytes and returns them.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, _) = self.rest().split_at(length);
        self.at += length;
        self.line += taken.matches('\n').count();
        taken
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            let length = if blank > 0 {
                blank
            } else if rest.starts_with('#') || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => end + 4,
                    None => return self.fault("a comment that doesn't end"),
                }
            } else if rest.starts_with('/') {
                return self.fault("a slash outside quotes");
            } else {
                return Ok(());
            };
            self.take(length);
        }
    }

    pub(super) fn next(&mut self) -> Result<Token, SyntaxError> {
        self.skip_blanks_and_comments()?;
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        if first == '_' || first.is_alphabetic() {
            return Ok(self.identifier());
        }
        let second = self.rest().chars().nth(1);
        if first.is_ascii_digit() || (matches!(first, '-' | '.') && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        let token = match first {
            '"' => return self.string(),
            '<' => return self.heredoc(),
            '{' => Token::LeftBrace,
            '}' => Token::RightBrace,
            '[' => Token::LeftBracket,
            ']' => Token::RightBracket,
            ',' => Token::Comma,
            '=' => Token::Assign,
            other => return self.fault(format!("an unexpected {other:?}")),
        };
        self.take(1);
        Ok(token)
    }

    fn identifier(&mut self) -> Token {
        let rest = self.rest();
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = self.take(rest.find(|c| !part(c)).unwrap_or(rest.len()));
        match name {
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            _ => Token::Identifier(name.to_owned()),
        }
    }

    /// Decimal, octal with a leading 0, hexadecimal with 0x, or with a fraction or an exponent.
    fn number(&mut self) -> Result<Token, SyntaxError> {
        let rest = self.rest();
        let mut previous = ' ';
        let mut length = 0;
        for character in rest.chars() {
            let sign = matches!(character, '-' | '+') && (length == 0 || matches!(previous, 'e' | 'E'));
            if !sign && !character.is_ascii_alphanumeric() && character != '.' {
                break;
            }
            previous = character;
            length += 1;
        }
        let text = self.take(length);
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text),
        };
        let radix = |digits: &str, radix| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
        let number = if let Some(hexadecimal) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            radix(hexadecimal, 16).map(Number::from)
        } else if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
            text.parse().ok().filter(|_| plain).and_then(Number::from_f64)
        } else if digits.len() > 1 && digits.starts_with('0') {
            radix(digits, 8).map(Number::from)
        } else {
            radix(digits, 10).map(Number::from)
        };
        match number {
            Some(number) => Ok(Token::Number(number)),
            None => self.fault(format!("{text} isn't a number")),
        }
    }

    fn string(&mut self) -> Result<Token, SyntaxError> {
        let Some(length) = string::literal_length(self.rest()) else {
            return self.fault("a string that doesn't end, or with an unknown escape");
        };
        let line = self.line;
        let literal = self.take(length);
        match string::unquote(&literal[1..length - 1]) {
            Some(text) => Ok(Token::String(text)),
            None => Err(SyntaxError { line, problem: "a string with an unknown escape".into() }),
        }
    }

    fn heredoc(&mut self) -> Result<Token, SyntaxError> {
        match string::heredoc(self.rest()) {
            Some((length, text)) => {
                self.take(length);
                Ok(Token::Heredoc(text))
            }
            None => self.fault("a heredoc that doesn't end"),
        }
    }
}
