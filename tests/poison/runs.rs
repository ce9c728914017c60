//! Many texts poisoned in one run, where that proves as much as a run for each of them.

use super::tape::Fault;

/// A text with poison in it.
pub struct Text<P = Fault> {
    /// What tells its poison from that of others.
    pub number: usize,
    /// What text it is, for whoever reads of a leak.
    pub what: String,
    /// Where the poison goes.
    pub place: P,
}

/// What a run came to.
pub struct Run {
    /// All that it printed.
    pub said: String,
    /// Whether it asked for all that it asks for where nothing is poisoned, and ended without an error.
    pub whole: bool,
}

/// What is printed of poison, before its number.
pub const MARK: &str = "owned";

/// What is printed of the poison with this number, if anything is.
pub fn mark(number: usize) -> String {
    format!("{MARK}{number}x")
}

/// Has each text poisoned in a run that shows what becomes of it: in one with all of them at first, then with fewer.
///
/// A run is enough for a text that it shows, when nothing cut it short; and for all of its texts when it says what a run
/// without poison does, since then none of them has any effect. What cuts a run short is tried alone, which is always enough,
/// and the others are tried again without it.
pub fn share<'a, P>(texts: &'a [Text<P>], clean: &Run, mut run: impl FnMut(&[&'a Text<P>]) -> Run) {
    let mut groups = vec![texts.iter().collect::<Vec<_>>()];
    while let Some(mut group) = groups.pop() {
        if group.is_empty() {
            continue;
        }
        let ran = run(&group);
        if group.len() == 1 || masked(&ran.said) == masked(&clean.said) {
            continue;
        }
        let is_shown = |text: &&Text<P>| ran.said.contains(&mark(text.number));
        let (shown, hidden): (Vec<_>, Vec<_>) = group.iter().copied().partition(is_shown);
        if shown.is_empty() {
            groups.push(group.split_off(group.len() / 2));
            groups.push(group);
            continue;
        }
        if !ran.whole {
            groups.extend(shown.into_iter().map(|text| vec![text]));
        }
        groups.push(hidden);
    }
}

/// A text without its numbers: times differ from run to run.
fn masked(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}
