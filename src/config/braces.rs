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
        if let Some((braces, inside, after)) = placeholder(from_brace) {
            hidden.extend(std::iter::repeat_n(HIDDEN[0], braces));
            hidden.push_str(inside);
            hidden.extend(std::iter::repeat_n(HIDDEN[1], braces));
            rest = after;
        } else {
            hidden.push('{');
            rest = &from_brace[1..];
        }
    }
    hidden.push_str(rest);
    Some(hidden)
}

/// The text with its braces back.
pub(super) fn show(text: &str) -> String {
    text.replace(HIDDEN[0], "{").replace(HIDDEN[1], "}")
}

/// The placeholder that a text begins with: the number of its braces, what is inside, what follows.
fn placeholder(text: &str) -> Option<(usize, &str, &str)> {
    if let Some(inside) = text.strip_prefix("{{") {
        let end = inside.find(['{', '}', ':', ',', '"', '\'', '#', '\n', '\r'])?;
        let (inside, after) = inside.split_at(end);
        return after.strip_prefix("}}").map(|after| (2, inside, after));
    }
    let inside = text.strip_prefix('{')?;
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'))?;
    let (inside, after) = inside.split_at(end);
    let after = after.strip_prefix('}')?;
    (!inside.is_empty()).then_some((1, inside, after))
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
