//! Values people type: durations, seconds, prefixes, endpoints, conditions. Each is checked here,
//! so that a slip is told before the daemon is bothered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv4Net;
use mesh_model::api::v1::WaitFor;
use mesh_model::trust::{MAX_BAN_MS, MAX_INVITE_LIFETIME_MS};
use mesh_model::{MeshId, Prefixes};

use crate::moment::Moment;
use crate::render::unit;

/// The shortest lifetime of an invite or ban: the API counts in seconds.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// The longest lifetime of an invite.
const MAX_LIFETIME: Duration = Duration::from_millis(MAX_INVITE_LIFETIME_MS);

/// The longest ban that ends by itself.
const MAX_BAN: Duration = Duration::from_millis(MAX_BAN_MS);

/// The longest the daemon waits for one answer.
const MAX_ANSWER: Duration = Duration::from_secs(3600);

/// The longest wait: a script that waits for more than a week has been forgotten.
const MAX_WAIT: Duration = Duration::from_secs(7 * 86_400);

/// The shortest pause between echoes: a hundred per second measure, more would be load.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The longest pause between echoes.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// The least and most time an echo may take: no path is slower than a minute.
const ECHO_TIMEOUTS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));

/// A socket's path. An empty `MESH_SOCKET` is a mistake in a script, not a path.
pub(super) fn socket(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("the path is empty".to_owned()),
        path => Ok(path.into()),
    }
}

/// `30s`, `10m`, `2h`, `7d`, `1h30m`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit, such as 500ms, 30s, 10m, 2h or 7d".to_owned();
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = number
            .checked_mul(millis)
            .and_then(|millis| total.checked_add(Duration::from_millis(millis)))
            .ok_or_else(|| "too long".to_owned())?;
        rest = after;
    }
    Ok(total)
}

/// A point in time, or one before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// That point.
    At(Moment),
    /// So long ago.
    Ago(Duration),
}

impl When {
    /// The point it means when it is `now`. What lies before all time was never.
    pub(crate) fn seen_from(self, now: Moment) -> Moment {
        match self {
            Self::At(moment) => moment,
            Self::Ago(ago) => {
                let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
                Moment { ms: now.ms.saturating_sub(ago) }
            }
        }
    }
}

/// A time, or how long ago.
pub(super) fn when(text: &str) -> Result<When, String> {
    duration(text).map(When::Ago).or_else(|_| text.parse().map(When::At))
}

fn within(value: Duration, least: Duration, most: Duration) -> Result<Duration, String> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(format!("must be between {} and {}", unit::duration(least), unit::duration(most)))
}

/// How long an invite is valid.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    within(duration(text)?, MIN_LIFETIME, MAX_LIFETIME)
}

/// How long a ban lasts.
pub(super) fn ban(text: &str) -> Result<Duration, String> {
    within(duration(text)?, MIN_LIFETIME, MAX_BAN)
}

/// How long to wait for one answer.
pub(super) fn answer_timeout(text: &str) -> Result<Duration, String> {
    within(duration(text)?, Duration::ZERO, MAX_ANSWER)
}

/// How long to wait.
pub(super) fn wait_timeout(text: &str) -> Result<Duration, String> {
    within(duration(text)?, Duration::ZERO, MAX_WAIT)
}

/// Seconds with decimals, as ping(8) takes them.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write seconds, such as 1 or 0.2".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "out of range".to_owned())
}

/// The pause between echoes.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    within(seconds(text)?, MIN_INTERVAL, MAX_INTERVAL)
}

/// How long to wait for an echo.
pub(super) fn echo_timeout(text: &str) -> Result<Duration, String> {
    within(seconds(text)?, ECHO_TIMEOUTS.0, ECHO_TIMEOUTS.1)
}

/// A prefix that can serve a mesh.
pub(super) fn ipv4_prefix(text: &str) -> Result<Ipv4Net, String> {
    let prefix: Ipv4Net =
        text.parse().map_err(|_| "write an IPv4 prefix, such as 10.77.0.0/16".to_owned())?;
    // Any mesh will do: what can be wrong with the prefix does not depend on it.
    match Prefixes::for_mesh(MeshId([0; 16]), prefix) {
        Ok(_) => Ok(prefix),
        Err(error) => Err(error.to_string()),
    }
}

/// A part of a mesh's prefix. Which mesh's, the daemon knows.
pub(super) fn ipv4_range(text: &str) -> Result<Ipv4Net, String> {
    text.parse::<Ipv4Net>()
        .map(|range| range.trunc())
        .map_err(|_| "write an IPv4 prefix, such as 100.88.7.0/24 or 100.88.7.9/32".to_owned())
}

/// An address another host can send to.
pub(super) fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let addr: SocketAddr = text.parse().map_err(|_| {
        "write an address and a port, such as 192.0.2.1:51820 or [2001:db8::1]:51820".to_owned()
    })?;
    if addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast() {
        return Err("no host can be reached there".to_owned());
    }
    Ok(addr)
}

/// What to wait for.
pub(super) fn condition(text: &str) -> Result<WaitFor, String> {
    let wrong = || "wait for `ready`, `leader` or `applied=N`".to_owned();
    match text {
        "ready" => Ok(WaitFor::Ready),
        "leader" => Ok(WaitFor::Leader),
        _ => {
            let index = text.strip_prefix("applied=").ok_or_else(wrong)?;
            index.parse().map(WaitFor::Applied).map_err(|_| wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_units_and_stay_in_bounds() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "10", "m", "10 m", "-1s", "1.5h", "1y", "99999999999999999999s", "ü"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("18446744073709551615d"), Err("too long".to_owned()));
        assert_eq!(lifetime("30d"), Ok(MAX_LIFETIME));
        for bad in ["31d", "0s", "999ms"] {
            assert_eq!(lifetime(bad), Err("must be between 1s and 30d".to_owned()), "{bad}");
        }
    }

    #[test]
    fn seconds_that_are_no_times_are_refused() {
        assert_eq!(interval("0.2"), Ok(Duration::from_millis(200)));
        for bad in ["0", "-1", "NaN", "inf", "1e30", "1s", ""] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn conditions_are_the_three_of_the_contract() {
        assert_eq!(condition("applied=7"), Ok(WaitFor::Applied(7)));
        for bad in ["", "applied", "applied=", "applied=-1", "Ready"] {
            assert!(condition(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_nobody_can_send_to_are_refused() {
        assert!(endpoint("[2001:db8::1]:51820").is_ok());
        for bad in ["0.0.0.0:1", "192.0.2.1:0", "192.0.2.1", "host:1", "224.0.0.1:5"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
