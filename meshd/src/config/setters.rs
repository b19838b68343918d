//! What each setting may be, and where it goes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use mesh_control::pairs::PostQuantum;
use mesh_dataplane::MAX_SLICES;
use mesh_model::addr::OVERLAY_MTU;
use mesh_model::facts::MAX_ENDPOINTS;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::value::{Source, Value};
use super::{Config, Listen, LogFormat, MIN_MTU, Tun};
use crate::io::offloads::Offloads;

/// The longest interface name, in bytes: Linux keeps 16 (`IFNAMSIZ`) with a zero byte at the end.
const MAX_INTERFACE_NAME: usize = 15;

/// What a setting may be, when it was given something else.
#[derive(Debug)]
pub(super) struct Allowed(pub(super) String);

impl From<&str> for Allowed {
    fn from(allowed: &str) -> Self {
        Self(allowed.to_owned())
    }
}

impl From<String> for Allowed {
    fn from(allowed: String) -> Self {
        Self(allowed)
    }
}

pub(super) fn name(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let allowed = "1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last";
    let Value::Text(text) = value else {
        return Err(allowed.into());
    };
    config.name = Some(text.parse().map_err(|_| allowed)?);
    Ok(())
}

pub(super) fn listen(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let allowed = "a UDP port from 0 to 65535 (0: any that is free), \
                   or \"ADDR:PORT\" with an address of this host";
    config.listen = match value {
        Value::Integer(port) => {
            Listen { addr: None, port: u16::try_from(*port).map_err(|_| allowed)? }
        }
        Value::Text(text) => match (text.parse(), text.parse::<SocketAddr>()) {
            (Ok(port), _) => Listen { addr: None, port },
            (_, Ok(at)) if !at.ip().is_multicast() => {
                Listen { addr: Some(at.ip()), port: at.port() }
            }
            _ => return Err(allowed.into()),
        },
        _ => return Err(allowed.into()),
    };
    Ok(())
}

pub(super) fn endpoints(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let Value::List(items) = value else {
        return Err("a list of addresses such as [\"192.0.2.1:51820\"]".into());
    };
    if items.len() > MAX_ENDPOINTS {
        return Err(format!("at most {MAX_ENDPOINTS} addresses").into());
    }
    config.endpoints = items.iter().map(endpoint).collect::<Result<_, _>>()?;
    Ok(())
}

/// An address other hosts can send to.
fn endpoint(value: &Value) -> Result<SocketAddr, Allowed> {
    let parsed = match value {
        Value::Text(text) => text.parse::<SocketAddr>().ok(),
        _ => None,
    };
    let broadcast = |ip| matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    parsed
        .filter(|at| at.port() != 0 && !at.ip().is_unspecified())
        .filter(|at| !at.ip().is_multicast() && !broadcast(at.ip()))
        .ok_or_else(|| {
            format!(
                "addresses others can send to, such as \"192.0.2.1:51820\" or \
                 \"[2001:db8::1]:51820\", which {value} is not"
            )
            .into()
        })
}

pub(super) fn tun(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let name = match value {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    // What the kernel's dev_valid_name() takes, less `%`, which asks the kernel to number devices.
    let allowed = |c: char| c.is_ascii_graphic() && !"/:%".contains(c);
    let fits = (1..=MAX_INTERFACE_NAME).contains(&name.len()) && name.chars().all(allowed);
    config.tun = match name {
        "none" => Tun::None,
        _ if fits && name != "." && name != ".." => Tun::Kernel(name.to_owned()),
        _ => {
            return Err(format!(
                "an interface name of 1 to {MAX_INTERFACE_NAME} letters, digits, `-`, `_` or `.`, or \"none\""
            )
            .into());
        }
    };
    Ok(())
}

pub(super) fn mtu(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let mtu = match value {
        Value::Integer(mtu) => u16::try_from(*mtu).ok(),
        _ => None,
    };
    config.mtu = mtu
        .filter(|mtu| (MIN_MTU..=OVERLAY_MTU).contains(mtu))
        .ok_or_else(|| format!("a number of bytes from {MIN_MTU} to {OVERLAY_MTU}"))?;
    Ok(())
}

pub(super) fn workers(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let workers = match value {
        Value::Integer(workers) => usize::try_from(*workers).ok(),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    config.workers = workers
        .filter(|workers| (1..=MAX_SLICES).contains(workers))
        .ok_or_else(|| format!("a number of packet threads from 1 to {MAX_SLICES}"))?;
    Ok(())
}

pub(super) fn offloads(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    config.offloads = match value {
        Value::Text(text) => match text.as_str() {
            "all" => Offloads::ALL,
            "none" => Offloads::NONE,
            names => {
                let names = names.split(',').map(|name| Value::Text(name.trim().to_owned()));
                some_offloads(&names.collect::<Vec<_>>())?
            }
        },
        Value::List(names) => some_offloads(names)?,
        _ => return Err(allowed_offloads().into()),
    };
    Ok(())
}

fn allowed_offloads() -> String {
    format!("\"all\" or \"none\" by itself, or some of {}", Offloads::NAMES.join(", "))
}

/// Those of these names.
fn some_offloads(names: &[Value]) -> Result<Offloads, Allowed> {
    let known = |name: &Value| name.text().is_some_and(|name| Offloads::NAMES.contains(&name));
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(format!("{}, which {unknown} is not", allowed_offloads()).into());
    }
    let some = Offloads::those(|name| names.iter().any(|it| it.text() == Some(name)));
    if some.tun_udp && !some.tun_tcp {
        return Err("\"tun_udp\" together with \"tun_tcp\" only".into());
    }
    Ok(some)
}

/// What `post_quantum` may be.
pub(super) const POST_QUANTUM: [(&str, PostQuantum); 3] =
    [("off", PostQuantum::Off), ("prefer", PostQuantum::Prefer), ("require", PostQuantum::Require)];

pub(super) fn post_quantum(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let found = |word: &str| value.text() == Some(word);
    let mode = POST_QUANTUM.iter().find(|(word, _)| found(word));
    config.post_quantum = mode.ok_or("\"off\", \"prefer\" or \"require\"")?.1;
    Ok(())
}

pub(super) fn state_dir(
    config: &mut Config,
    value: &Value,
    source: &Source,
) -> Result<(), Allowed> {
    config.state_dir = path(value, source)?;
    Ok(())
}

pub(super) fn socket(config: &mut Config, value: &Value, source: &Source) -> Result<(), Allowed> {
    config.socket = path(value, source)?;
    Ok(())
}

/// A path. In the file it must be absolute, because a daemon has no directory a reader could guess.
pub(super) fn path(value: &Value, source: &Source) -> Result<PathBuf, Allowed> {
    let path = match value {
        Value::Text(text) if !text.is_empty() && !text.contains('\0') => PathBuf::from(text),
        _ => return Err("a path".into()),
    };
    match source {
        Source::File(..) if path.is_relative() => Err("an absolute path".into()),
        _ => std::path::absolute(&path).map_err(|error| format!("a path ({error})").into()),
    }
}

pub(super) fn log_filter(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let allowed = "a level (error, warn, info, debug, trace, off) or TARGET=LEVEL pairs, \
                   such as \"info,meshd=debug\"";
    let Value::Text(text) = value else {
        return Err(allowed.into());
    };
    // The library takes a word that is no level for the name of a target and would log all of it.
    let understood = |part: &str| part.contains(['=', '[']) || part.parse::<LevelFilter>().is_ok();
    if let Some(part) = text.split(',').map(str::trim).find(|part| !understood(part)) {
        return Err(format!("{allowed}; `{part}` is neither").into());
    }
    EnvFilter::builder().parse(text).map_err(|error| format!("{allowed} ({error})"))?;
    config.log.filter.clone_from(text);
    Ok(())
}

pub(super) fn log_format(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let found = |word: &str| matches!(value, Value::Text(text) if text == word);
    let format = LogFormat::WORDS.iter().find(|(word, _)| found(word));
    config.log.format = format.ok_or("\"auto\", \"text\", \"json\" or \"journald\"")?.1;
    Ok(())
}
