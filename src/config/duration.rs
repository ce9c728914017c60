//! Durations: whole seconds, or `2h`, `1h30m`, `90s`, `1d`.

/// The longest duration that Vault can hold: 2⁶³ ns.
const MOST_SECONDS: u64 = 9_223_372_036;

/// A duration that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid duration: {problem}")]
pub struct InvalidDuration {
    value: String,
    problem: &'static str,
    remedy: &'static str,
}

impl InvalidDuration {
    /// What to write instead.
    pub fn remedy(&self) -> &'static str {
        self.remedy
    }
}

/// Reads a duration into seconds.
///
/// # Errors
/// Refused are negative durations, fractions, units other than `d`, `h`, `m` and `s`, and more than Vault can hold
/// (292 years).
pub fn parse_duration(text: &str) -> Result<u64, InvalidDuration> {
    const HOW: &str = "write whole seconds, or a duration such as `2h`, `1h30m`, `90s` or `1d`";
    let refuse = |problem, remedy| Err(InvalidDuration { value: text.to_owned(), problem, remedy });
    if text.is_empty() {
        return refuse("it is empty", HOW);
    }
    if text.starts_with('-') {
        return refuse("it is negative", "write 0 to leave the duration to the server, or a duration such as `2h`");
    }
    if text.contains(['.', ',']) {
        return refuse("it has a fraction", "write it in smaller units: `1h30m` for one hour and a half");
    }
    let mut seconds: Option<u64> = Some(0);
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return refuse("a number is missing", HOW);
        }
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let factor: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            // A bare number is seconds; after units it would be a riddle.
            "" if number.len() == text.len() => 1,
            "" => return refuse("its last number has no unit", HOW),
            "ms" | "us" | "\u{b5}s" | "ns" => return refuse("it is finer than a second", HOW),
            "w" | "y" => return refuse("its unit is not known", "count in days, such as `7d` or `365d`"),
            _ => return refuse("its unit is not known", HOW),
        };
        // Digits only: the one way to fail is to be too large.
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        seconds = seconds.zip(part).and_then(|(sum, part)| sum.checked_add(part));
        rest = after;
    }
    match seconds {
        Some(seconds) if seconds <= MOST_SECONDS => Ok(seconds),
        _ => refuse("it is longer than Vault can hold (292 years)", "write a shorter one, such as `8760h` for a year"),
    }
}

/// A duration as the file would write it: `2h`, `90m`, `45s`.
pub fn written_duration(seconds: u64) -> String {
    in_whole(seconds, &[(86_400, "d"), (3_600, "h"), (60, "m")])
}

/// A duration as Go writes it, which knows no days: `24h`, `90m`, `45s`.
pub fn go_duration(seconds: u64) -> String {
    in_whole(seconds, &[(3_600, "h"), (60, "m")])
}

/// In the first of these units that it is a whole number of, else in seconds.
fn in_whole(seconds: u64, units: &[(u64, &str)]) -> String {
    let fits = units.iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_add_up() {
        for (text, seconds) in
            [("0", 0), ("7200", 7200), ("2h", 7200), ("1h30m", 5400), ("90s", 90), ("1d", 86_400), ("1d2h3m4s", 93_784)]
        {
            assert_eq!(parse_duration(text).unwrap(), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "-1",
            "-2h",
            "1.5h",
            "1,5h",
            "2 h",
            "h",
            "2x",
            "1h30",
            "100ms",
            "1w",
            "99999999999999999999",
            "9223372037",
            "106752d",
            "2H",
            "\u{0662}h",
            "1h-30m",
            "+2h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn what_is_written_is_read_again(seconds in 0_u64..MOST_SECONDS) {
            prop_assert_eq!(parse_duration(&written_duration(seconds)), Ok(seconds));
        }

        #[test]
        fn seconds_and_units_mean_the_same(hours in 0_u64..100_000, minutes in 0_u64..100_000) {
            let text = format!("{hours}h{minutes}m");
            prop_assert_eq!(parse_duration(&text).unwrap(), hours * 3600 + minutes * 60);
        }
    }
}
