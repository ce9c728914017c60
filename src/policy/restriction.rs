//! The fields of a rule beside its capabilities: their normal form, and how two of them become one.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

pub(super) const EXPIRATION: &str = "expiration";

/// What kind of value a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Seconds, or a text such as `1h30m`.
    Duration,
    /// Parameter names (case doesn't matter) to lists of values; an empty list stands for any value.
    Parameters,
    /// Names of parameters, case doesn't matter.
    ParameterNames,
    /// A set of names.
    Names,
    /// A number, where zero and less mean none.
    Limit,
    /// Kept as written: when it applies or how it merges depends on the clock, the server or the order.
    Verbatim,
    /// A comment.
    Ignored,
}

/// The fields that `policy.go` knows beside `capabilities` and `policy`. The last verbatim one is Vault's,
/// `pagination_limit`, `expiration` and `list_scan_response_keys_filter_path` are OpenBao's.
pub(super) fn field(name: &str) -> Option<Field> {
    Some(match name {
        "min_wrapping_ttl" | "max_wrapping_ttl" => Field::Duration,
        "allowed_parameters" | "denied_parameters" => Field::Parameters,
        "required_parameters" => Field::ParameterNames,
        "mfa_methods" => Field::Names,
        "pagination_limit" => Field::Limit,
        EXPIRATION | "control_group" | "list_scan_response_keys_filter_path" | "subscribe_event_types" => {
            Field::Verbatim
        }
        "comment" => Field::Ignored,
        _ => return None,
    })
}

pub(super) fn can_merge(name: &str) -> bool {
    field(name).is_some_and(|field| field != Field::Verbatim)
}

/// Two values of one field, as `NewACL` in `acl.go` merges them. Both are in their normal form.
pub(super) fn merge(name: &str, one: Value, other: Value) -> Value {
    match (field(name), one, other) {
        // The server prefers the shorter of two minima as well as of two maxima.
        (Some(Field::Duration), one, other) => {
            if nanoseconds(&one) <= nanoseconds(&other) {
                one
            } else {
                other
            }
        }
        (Some(Field::Limit), one, other) => {
            if one.as_u64() <= other.as_u64() {
                one
            } else {
                other
            }
        }
        (Some(Field::Parameters), Value::Object(mut one), Value::Object(other)) => {
            for (parameter, values) in other {
                add_parameter(&mut one, &parameter, values);
            }
            Value::Object(one)
        }
        (_, Value::Array(mut one), Value::Array(other)) => {
            one.extend(other);
            Value::Array(set(one))
        }
        (_, one, _) => one,
    }
}

/// Adds values to a parameter of `allowed_parameters` or `denied_parameters`: any value wins over some.
pub(super) fn add_parameter(parameters: &mut Map<String, Value>, name: &str, values: Value) {
    let Value::Array(mut values) = values else { return };
    let merged = match parameters.remove(name) {
        Some(Value::Array(earlier)) if !earlier.is_empty() && !values.is_empty() => {
            values.extend(earlier);
            values
        }
        Some(_) => Vec::new(),
        None => values,
    };
    parameters.insert(name.to_owned(), Value::Array(set(merged)));
}

/// Sorted, each value once.
pub(super) fn set(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_cached_key(Value::to_string);
    values.dedup();
    values
}

const SECOND: u128 = 1_000_000_000;

/// The normal form of a duration: whole seconds as a number, anything finer as text in nanoseconds. None if the server
/// couldn't read it.
pub(super) fn duration(value: &Value) -> Option<Value> {
    let nanoseconds = nanoseconds(value)?;
    Some(if nanoseconds.is_multiple_of(SECOND) {
        Value::Number(Number::from(u64::try_from(nanoseconds / SECOND).ok()?))
    } else {
        Value::String(format!("{nanoseconds}ns"))
    })
}

/// Whether no response could satisfy both limits: `max_wrapping_ttl cannot be less than min_wrapping_ttl`.
pub(super) fn impossible(other: &BTreeMap<String, Value>) -> bool {
    let limit = |name| other.get(name).and_then(nanoseconds);
    matches!((limit("min_wrapping_ttl"), limit("max_wrapping_ttl")), (Some(min), Some(max)) if max < min)
}

/// As `ParseDurationSecond` of go-secure-stdlib: a number or a text of digits is in seconds, `5d` is in days, anything
/// else is Go's `time.ParseDuration`. Negative ones make no sense here.
fn nanoseconds(value: &Value) -> Option<u128> {
    match value {
        Value::Number(seconds) => seconds.as_u64().map(|seconds| u128::from(seconds) * SECOND),
        Value::String(text) if text.is_empty() => Some(0),
        Value::String(text) => {
            if let Ok(seconds) = text.parse::<u64>() {
                return Some(u128::from(seconds) * SECOND);
            }
            if let Some(days) = text.strip_suffix('d') {
                return Some(u128::from(days.parse::<u32>().ok()?) * 86_400 * SECOND);
            }
            go_duration(text)
        }
        _ => None,
    }
}

/// Go's `time.ParseDuration` for what isn't negative: numbers with a unit each, such as `1h30m` or `1.5s`.
fn go_duration(text: &str) -> Option<u128> {
    let mut total = 0_u128;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 15 || fraction.len() > 15 {
            return None;
        }
        let digits = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        total += digits(whole)? * unit + digits(fraction)? * unit / scale;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_have_one_form() {
        let hour = Some(json!(3600));
        for value in [json!(3600), json!("3600"), json!("1h"), json!("60m"), json!("59m60s"), json!("1.0h")] {
            assert_eq!(duration(&value), hour, "{value}");
        }
        assert_eq!(duration(&json!("2d")), Some(json!(172_800)));
        assert_eq!(duration(&json!("1.5s")), Some(json!("1500000000ns")));
        assert_eq!(duration(&json!("1500ms")), duration(&json!("1.5s")));
        for zero in [json!(0), json!(""), json!("0s")] {
            assert_eq!(duration(&zero), Some(json!(0)), "{zero}");
        }
        for bad in [json!("x"), json!("1h-"), json!("-5s"), json!("1.2.3s"), json!("s"), json!(".s"), json!([])] {
            assert_eq!(duration(&bad), None, "{bad}");
        }
    }
}
