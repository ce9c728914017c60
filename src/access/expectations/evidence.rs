//! What was found, each thing once, with all of whom it is true.

/// What was found.
#[derive(Default)]
pub(super) struct Evidence(Vec<(String, Vec<String>)>);

/// How many things are told, and how many are named of whom one is true.
const TOLD: usize = 6;
const NAMED: usize = 4;

impl Evidence {
    /// Adds that something is true of somebody: `ns/app of c`, `can, through r, on secret/data/x`.
    pub(super) fn add(&mut self, who: &str, what: String) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, whom)) if whom.iter().any(|known| known == who) => {}
            Some((_, whom)) => whom.push(who.to_owned()),
            None => self.0.push((what, vec![who.to_owned()])),
        }
    }

    /// A sentence for each thing.
    pub(super) fn told(self) -> Vec<String> {
        let all = self.0.len();
        let mut told: Vec<String> =
            self.0.into_iter().take(TOLD).map(|(what, who)| format!("{} {what}", named(&who))).collect();
        if all > TOLD {
            told.push(format!("and {} more", all - TOLD));
        }
        told
    }
}

fn named(who: &[String]) -> String {
    match who {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] if who.len() <= NAMED => format!("{} and {last}", some.join(", ")),
        all => format!("{} and {} more", all[..NAMED].join(", "), all.len() - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_true_of_several_is_told_once() {
        let mut evidence = Evidence::default();
        for who in ["a", "b", "a"] {
            evidence.add(who, "can, through r".to_owned());
        }
        for who in ["a", "b", "c", "d", "e", "f"] {
            evidence.add(who, "can, through s".to_owned());
        }
        evidence.add("g", "may".to_owned());
        assert_eq!(evidence.told(), ["a and b can, through r", "a, b, c, d and 2 more can, through s", "g may"]);
    }

    #[test]
    fn of_very_much_only_the_first_is_told() {
        let mut evidence = Evidence::default();
        for nth in 0..9 {
            evidence.add("a", format!("can, through r{nth}"));
        }
        let told = evidence.told();
        assert_eq!((told.len(), told.last().map(String::as_str)), (7, Some("and 3 more")));
    }
}
