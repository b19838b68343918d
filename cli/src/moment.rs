//! Points in time as people write them: RFC 3339, always shown in UTC.

use std::fmt;
use std::str::FromStr;

const MS_PER_DAY: u64 = 86_400_000;

/// How many days 1970-01-01 comes after 0000-03-01. A year that begins in March has its leap day at the end, and all its
/// months but the last follow one formula.
const EPOCH: u64 = 719_468;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) ms: u64,
}

impl Moment {
    /// Now, by this host's clock.
    pub(crate) fn now() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self { ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// Days from 0000-03-01 to the first of March of `year`.
fn march_of(year: u64) -> u64 {
    365 * year + year / 4 - year / 100 + year / 400
}

/// Days from the first of March to the first of the month that comes `months` after it: 31, 30, 31, 30, 31 and again.
fn months(months: u64) -> u64 {
    (153 * months + 2) / 5
}

/// Year, month and day of the day that comes `days` after the Unix epoch.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    // 400 years have 146,097 days; the estimate is off by one at most.
    let mut year = days * 400 / 146_097;
    while march_of(year) > days {
        year -= 1;
    }
    while march_of(year + 1) <= days {
        year += 1;
    }
    let rest = days - march_of(year);
    let month = (5 * rest + 2) / 153;
    let day = rest - months(month) + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// How many days after the Unix epoch a date is, if there is such a date and it is not before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (march_year, march_month) = match month {
        1..=2 => (year.checked_sub(1)?, month + 9),
        _ => (year, month.checked_sub(3)?),
    };
    let days = (march_of(march_year) + months(march_month) + day).checked_sub(1 + EPOCH)?;
    // What there is not (the 31st of April, a 13th month) comes back as something else.
    (date(days) == (year, month, day)).then_some(days)
}

/// To the second, in UTC.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.ms / MS_PER_DAY);
        let second = self.ms % MS_PER_DAY / 1000;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write a time such as 2026-11-21T22:00:00Z or 2026-11-21, or how long ago, such as 1h"
                .to_owned()
        };
        parse(text).map(|ms| Self { ms }).ok_or_else(wrong)
    }
}

fn parse(text: &str) -> Option<u64> {
    if !text.is_ascii() {
        return None;
    }
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let midnight = days(year, month, day)?.checked_mul(MS_PER_DAY)?;
    match time {
        Some(time) => {
            let (clock, ahead_minutes) = zone(time)?;
            let local = midnight + time_of_day(clock)?;
            local.checked_add_signed(-ahead_minutes * 60_000)
        }
        None => Some(midnight),
    }
}

/// Numbers of so many digits, with `mark` between them.
fn numbers<const N: usize>(text: &str, mark: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(mark);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = fits.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// A time of day without its offset, and how many minutes its zone is ahead of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (clock, offset) = time.split_at(at);
    let [hours, minutes] = numbers(&offset[1..], ':', [2, 2])?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = i64::try_from(hours * 60 + minutes).ok()?;
    Some((clock, if offset.starts_with('-') { -ahead } else { ahead }))
}

/// Milliseconds since midnight. What is finer is cut off.
fn time_of_day(clock: &str) -> Option<u64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    // A leap second is taken as the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: u64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    Some((hour * 3600 + minute * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Result<u64, String> {
        text.parse::<Moment>().map(|moment| moment.ms)
    }

    #[test]
    fn moments_read_as_they_are_shown() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_800_000_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Moment { ms: at }.to_string(), text);
            assert_eq!(ms(text), Ok(at));
        }
        for day in 0..200_000 {
            let moment = Moment { ms: day * MS_PER_DAY };
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
        assert_eq!(Moment { ms: u64::MAX }.to_string().split('-').next(), Some("584556019"));
    }

    #[test]
    fn offsets_and_fractions_count() {
        let noon = ms("2026-11-21T12:00:00Z").expect("a time");
        assert_eq!(ms("2026-11-21T13:30:00+01:30"), Ok(noon));
        assert_eq!(ms("2026-11-21t10:00:00-02:00"), Ok(noon));
        assert_eq!(ms("2026-11-21 12:00:00.25z"), Ok(noon + 250));
        assert_eq!(ms("2026-11-21"), Ok(noon - MS_PER_DAY / 2));
        assert_eq!(ms("2016-12-31T23:59:60Z"), ms("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "now",
            "2026",
            "2026-11",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-11-00",
            "1969-12-31",
            "1970-01-01T00:00:00+00:01",
            "2026-11-21T",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:00:61Z",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00+1:00",
            "2026-11-21T12:00:00+24:00",
            "+026-11-21",
            "2026-11-2\u{661}",
        ] {
            assert!(ms(bad).is_err(), "{bad}");
        }
    }
}
