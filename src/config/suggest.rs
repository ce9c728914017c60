//! "Did you mean …": the nearest of the names that exist.

use strsim::osa_distance;

/// The candidate that `written` most likely stands for.
///
/// Spelling that differs only in case, `_` and `-` (`service_accounts`) always counts; beyond it a third of the
/// letters may be wrong.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = letters(written);
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(&wanted, &letters(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A list of names as a sentence shows it; long lists are cut.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 40;
    let mut names: Vec<&str> = names.into_iter().collect();
    let left = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let list = names.join(", ");
    if left > 0 { format!("{list} and {left} more") } else { list }
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let fields = ["serviceAccounts", "policies", "ttl", "maxTtl"];
        assert_eq!(nearest("service_accounts", fields), Some("serviceAccounts"));
        assert_eq!(nearest("polices", fields), Some("policies"));
        assert_eq!(nearest("tlt", fields), Some("ttl"));
        assert_eq!(nearest("max_ttl", fields), Some("maxTtl"));
        assert_eq!(nearest("description", fields), None);
    }
}
