//! The tree of HCL 1, after `hcl/parser/parser.go` without its check for duplicate keys.

use super::scanner::{Scanner, Token};
use super::{Item, MAX_DEPTH, Node, SyntaxError};

pub(super) fn parse(text: &str) -> Result<Vec<Item>, SyntaxError> {
    let mut parser = Parser { scanner: Scanner::new(text)?, token: Token::End };
    parser.advance()?;
    let items = parser.items(0)?;
    match parser.token {
        Token::End => Ok(items),
        _ => parser.fault("a closing brace without its opening one"),
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    /// The token to be looked at next.
    token: Token,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<Token, SyntaxError> {
        let next = self.scanner.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn fault<T>(&self, problem: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError { line: self.scanner.line(), problem: problem.to_owned() })
    }

    /// Items up to a closing brace or the end, with a comma after each where someone wrote one.
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, SyntaxError> {
        if depth > MAX_DEPTH {
            return self.fault("too many nested blocks");
        }
        let mut items = Vec::new();
        while !matches!(self.token, Token::End | Token::RightBrace) {
            items.push(self.item(depth)?);
            if self.token == Token::Comma {
                self.advance()?;
            }
        }
        Ok(items)
    }

    fn item(&mut self, depth: usize) -> Result<Item, SyntaxError> {
        let line = self.scanner.line();
        let mut keys = Vec::new();
        loop {
            match self.advance()? {
                Token::Identifier(key) | Token::String(key) => keys.push(key),
                Token::Assign if keys.len() == 1 => {
                    let value = self.value(depth)?;
                    return Ok(Item { keys, value });
                }
                Token::LeftBrace if !keys.is_empty() => {
                    let value = self.object(depth)?;
                    return Ok(Item { keys, value });
                }
                _ => return Err(SyntaxError { line, problem: "a key, then `=` or `{`, was expected".into() }),
            }
        }
    }

    /// The rest of an object, after its opening brace.
    fn object(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let items = self.items(depth + 1)?;
        match self.advance()? {
            Token::RightBrace => Ok(Node::Object(items)),
            _ => self.fault("a block that isn't closed"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        if depth > MAX_DEPTH {
            return self.fault("too many nested lists");
        }
        Ok(match self.advance()? {
            Token::String(text) | Token::Heredoc(text) => Node::String(text),
            Token::Number(number) => Node::Number(number),
            Token::Bool(truth) => Node::Bool(truth),
            Token::LeftBrace => self.object(depth)?,
            Token::LeftBracket => self.list(depth)?,
            _ => return self.fault("a value was expected"),
        })
    }

    /// The rest of a list, after its opening bracket. Commas may also stand where nothing is between them.
    fn list(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let mut nodes = Vec::new();
        let mut needs_comma = false;
        loop {
            match self.token {
                Token::RightBracket => {
                    self.advance()?;
                    return Ok(Node::List(nodes));
                }
                Token::Comma => {
                    self.advance()?;
                    needs_comma = false;
                }
                _ if needs_comma => return self.fault("a comma or the end of the list was expected"),
                _ => {
                    // Odd, but so it is: a list within a list needs no comma after it.
                    needs_comma = self.token != Token::LeftBracket;
                    nodes.push(self.value(depth + 1)?);
                }
            }
        }
    }
}
