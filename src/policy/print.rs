//! A policy as text, in one form for one meaning.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Policy, Rule};

impl Policy {
    /// The policy as HCL that every server reads back with the same meaning, below the header's lines as comments.
    ///
    /// The header is where a mark of ownership goes; nothing in it can become part of the policy.
    pub fn print(&self, header: &[&str]) -> String {
        let mut text = String::new();
        for line in header.iter().flat_map(|lines| lines.lines()) {
            // The server's scanner chokes on NUL and U+E123 even in comments.
            let line = line.replace(|c: char| c.is_control() || c == RESERVED, " ");
            text.push_str(format!("# {line}").trim_end());
            text.push('\n');
        }
        for rule in &self.rules {
            if !text.is_empty() {
                text.push('\n');
            }
            print_rule(&mut text, rule);
        }
        text
    }
}

/// A rule on one line, as a person adds it to a policy.
pub fn rule_on_a_line<'a>(path: &str, capabilities: impl IntoIterator<Item = &'a str>) -> String {
    let capabilities: Vec<String> = capabilities.into_iter().map(quote).collect();
    format!("path {} {{ capabilities = [{}] }}", quote(path), capabilities.join(", "))
}

/// `hashicorp/hcl` 1 keeps this character for itself and refuses it in any text.
const RESERVED: char = '\u{e123}';

fn print_rule(text: &mut String, rule: &Rule) {
    let capabilities: Vec<String> = rule.capabilities.iter().map(|capability| quote(capability.as_str())).collect();
    // Writing to a String can't fail.
    let _ = writeln!(text, "path {} {{", quote(rule.path.as_str()));
    let _ = writeln!(text, "  capabilities = [{}]", capabilities.join(", "));
    for (field, value) in &rule.other {
        print_field(text, field, value, 1);
    }
    text.push_str("}\n");
}

fn print_field(text: &mut String, name: &str, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let _ = match (name, value) {
        // The server takes factors only as labelled blocks.
        ("factor", Value::Object(factors)) => {
            for (label, factor) in factors {
                let _ = writeln!(text, "{indent}factor {} {{", quote(label));
                print_fields(text, factor.as_object(), depth + 1);
                let _ = writeln!(text, "{indent}}}");
            }
            Ok(())
        }
        ("control_group" | "identity", Value::Object(fields)) => {
            let _ = writeln!(text, "{indent}{name} = {{");
            print_fields(text, Some(fields), depth + 1);
            writeln!(text, "{indent}}}")
        }
        (_, Value::Object(fields)) => {
            let _ = writeln!(text, "{indent}{name} = {{");
            for (key, value) in fields {
                let _ = writeln!(text, "{indent}  {} = {}", quote(key), inline(value));
            }
            writeln!(text, "{indent}}}")
        }
        (_, value) => writeln!(text, "{indent}{name} = {}", inline(value)),
    };
}

fn print_fields(text: &mut String, fields: Option<&Map<String, Value>>, depth: usize) {
    for (name, value) in fields.into_iter().flatten() {
        print_field(text, name, value, depth);
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => quote(string),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{} = {}", quote(key), inline(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Null => quote(""),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A string literal of HCL 1.
///
/// Within `${…}` that language takes quotes, braces and newlines for part of an expression and unescapes nothing, so
/// the `$` before a `{` is written as its code; after that, only the quote and the backslash end or change a string.
/// Characters that don't show, or that reorder what is shown, are written as codes too, for whoever reads the policy.
pub(super) fn quote(string: &str) -> String {
    let mut quoted = String::with_capacity(string.len() + 2);
    quoted.push('"');
    let mut characters = string.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' if characters.peek() == Some(&'{') => quoted.push_str("\\u0024"),
            _ if hidden(character) => {
                let code = u32::from(character);
                let _ = if code > 0xffff { write!(quoted, "\\U{code:08x}") } else { write!(quoted, "\\u{code:04x}") };
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn hidden(character: char) -> bool {
    character.is_control()
        || character == RESERVED
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}
