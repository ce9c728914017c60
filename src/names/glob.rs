//! Patterns with `*`, as Vault's auth methods match them (github.com/ryanuber/go-glob).

/// Whether a value matches a pattern, in which each `*` stands for anything, nothing included.
pub(crate) fn matches(pattern: &str, value: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = value.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, value) in
            [("a", "a"), ("*", ""), ("*", "x/y"), ("a*", "a"), ("a*c", "abbc"), ("a*b*c", "a-b-c"), ("*a", "aa")]
        {
            assert!(matches(pattern, value), "{pattern} {value}");
        }
        for (pattern, value) in [("a", "ab"), ("", "x"), ("a*", "b"), ("a*c", "ab"), ("ab*b", "ab"), ("a*b*c", "a-c-b")]
        {
            assert!(!matches(pattern, value), "{pattern} {value}");
        }
    }
}
