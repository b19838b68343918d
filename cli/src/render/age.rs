//! A remark on answers that may be out of date.

use std::time::Duration;

use mesh_model::api::v1::AsOf;

use super::unit::duration;

/// The age from which it is worth a remark: ten seconds. A healthy host hears of its supervisor several times a
/// second, and an election takes two.
const OLD: Duration = Duration::from_secs(10);

/// What a person should know about the age of an answer; `None` when it is as new as can be expected.
pub(crate) fn remark(as_of: AsOf) -> Option<String> {
    let AsOf { applied, age_ms, consistent } = as_of;
    let since = match age_ms.map(Duration::from_millis) {
        _ if consistent => return None,
        Some(age) if age < OLD => return None,
        Some(age) => format!("for {}", duration(age)),
        None => "since it started".to_owned(),
    };
    Some(format!(
        "note: this is what this host knew at index {applied}; it has heard of no supervisor {since}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_is_remarked_on() {
        let as_of = |age_ms, consistent| AsOf { applied: 47, age_ms, consistent };
        assert_eq!(remark(as_of(Some(9_999), false)), None);
        assert_eq!(remark(as_of(Some(60_000), true)), None, "a majority has just confirmed it");
        let old = remark(as_of(Some(132_000), false)).expect("old");
        assert!(old.contains("at index 47") && old.contains("for 2m12s"), "{old}");
        assert!(remark(as_of(None, false)).expect("never new").contains("since it started"));
    }
}
