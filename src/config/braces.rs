//! Placeholders need no quotes.
//!
//! In `read: [k8s/{cluster}/*]` and `mount: {cluster}-jwt` YAML takes the brace for the begin of a map. Before the text
//! is read, the braces of `{word}` and `{{…}}` are exchanged, one character for one so that every place stays what it is,
//! for characters that mean nothing to YAML; afterwards they are put back. A map of one bare word, which this takes away,
//! means nothing in our format.

/// Stand for `{` and `}`: from Unicode's private use area, so no text of the world has them.
const HIDDEN: [char; 2] = ['\u{e000}', '\u{e001}'];

/// The text with the braces of placeholders hidden; `None` where it contains our stand-ins already.
pub(super) fn hide(text: &str) -> Option<String> {
    if text.contains(HIDDEN) {
        return None;
    }
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        let (before, from_brace) = rest.split_at(brace);
        hidden.push_str(before);
        let end = placeholder(from_brace);
        let (braces, after) = from_brace.split_at(end.unwrap_or(1));
        if end.is_some() {
            hidden.extend(braces.chars().map(|character| match character {
                '{' => HIDDEN[0],
                '}' => HIDDEN[1],
                other => other,
            }));
        } else {
            hidden.push_str(braces);
        }
        rest = after;
    }
    hidden.push_str(rest);
    Some(hidden)
}

/// The text with its braces back.
pub(super) fn show(text: &str) -> String {
    text.replace(HIDDEN[0], "{").replace(HIDDEN[1], "}")
}

/// Where the placeholder ends that a text begins with; what Vault fills in may have one of ours inside.
fn placeholder(text: &str) -> Option<usize> {
    let Some(inside) = text.strip_prefix("{{") else { return word(text) };
    let mut at = 0;
    loop {
        at += inside[at..].find(['{', '}', ':', ',', '"', '\'', '#', '\n', '\r'])?;
        match word(&inside[at..]) {
            Some(length) => at += length,
            None if inside[at..].starts_with("}}") => return Some("{{".len() + at + "}}".len()),
            None => return None,
        }
    }
}

/// Where a `{word}` ends that a text begins with.
fn word(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('{')?;
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'))?;
    (end > 0 && inside[end..].starts_with('}')).then_some(end + "{}".len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_are_hidden_and_maps_are_not() {
        let [open, close] = HIDDEN;
        for (text, expected) in [
            ("[k8s/{cluster}/*]", format!("[k8s/{open}cluster{close}/*]")),
            ("{{identity.entity.id}}", format!("{open}{open}identity.entity.id{close}{close}")),
            ("{ path: a, capabilities: [read] }", "{ path: a, capabilities: [read] }".to_owned()),
            ("{a: {b: c}}", "{a: {b: c}}".to_owned()),
            ("{}", "{}".to_owned()),
            ("{each", "{each".to_owned()),
            ("{a{each}}", format!("{{a{open}each{close}}}")),
            ("{{a.{accessor}.b}}/*", format!("{open}{open}a.{open}accessor{close}.b{close}{close}/*")),
        ] {
            assert_eq!(hide(text).unwrap(), expected, "{text}");
        }
        assert_eq!(hide("\u{e000}"), None);
    }

    proptest! {
        #[test]
        fn hiding_moves_nothing_and_can_be_undone(text in "[{}a-c:, \u{e9}]{0,30}") {
            let hidden = hide(&text).unwrap();
            prop_assert_eq!(hidden.chars().count(), text.chars().count());
            prop_assert_eq!(show(&hidden), text);
        }
    }
}
