//! The settings: for each its key, its variable, its flag, and what it may be.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

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

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its key in the file; a dot stands for a table.
    pub(super) key: &'static str,
    /// Its environment variable.
    pub(super) env: Option<&'static str>,
    /// Its flag.
    pub(super) flag: Option<&'static str>,
    /// Checks a value and puts it into the configuration.
    pub(super) set: fn(&mut Config, &Value, &Source) -> Result<(), Allowed>,
    /// The value in force, as TOML.
    pub(super) show: fn(&Config) -> String,
}

/// All of them, in the order of `config/meshd.toml`.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        key: "name",
        env: Some("MESHD_NAME"),
        flag: Some("--name"),
        set: set_name,
        show: |config| config.name.as_ref().map_or("(the host name)".to_owned(), quoted),
    },
    Setting {
        key: "listen",
        env: Some("MESHD_LISTEN"),
        flag: Some("--listen"),
        set: set_listen,
        show: |config| match config.listen.addr {
            Some(_) => quoted(&config.listen),
            None => config.listen.to_string(),
        },
    },
    Setting {
        key: "endpoints",
        env: None,
        flag: None,
        set: set_endpoints,
        show: |config| {
            let quoted: Vec<_> = config.endpoints.iter().map(quoted).collect();
            format!("[{}]", quoted.join(", "))
        },
    },
    Setting {
        key: "tun",
        env: Some("MESHD_TUN"),
        flag: Some("--tun"),
        set: set_tun,
        show: |config| quoted(&config.tun),
    },
    Setting {
        key: "mtu",
        env: None,
        flag: None,
        set: set_mtu,
        show: |config| config.mtu.to_string(),
    },
    Setting {
        key: "workers",
        env: Some("MESHD_WORKERS"),
        flag: Some("--workers"),
        set: set_workers,
        show: |config| config.workers.to_string(),
    },
    Setting {
        key: "offloads",
        env: Some("MESHD_OFFLOADS"),
        flag: Some("--offloads"),
        set: set_offloads,
        show: |config| {
            let on = config.offloads.named().into_iter().filter(|(_, on)| *on);
            let quoted: Vec<_> = on.map(|(name, _)| quoted(&name)).collect();
            format!("[{}]", quoted.join(", "))
        },
    },
    Setting {
        key: "state_dir",
        env: Some("MESHD_STATE_DIR"),
        flag: Some("--state-dir"),
        set: set_state_dir,
        show: |config| quoted(&config.state_dir.display()),
    },
    Setting {
        key: "socket",
        env: Some("MESH_SOCKET"),
        flag: Some("--socket"),
        set: set_socket,
        show: |config| quoted(&config.socket.display()),
    },
    Setting {
        key: "log.filter",
        env: Some("MESHD_LOG"),
        flag: Some("--log"),
        set: set_log_filter,
        show: |config| quoted(&config.log.filter),
    },
    Setting {
        key: "log.format",
        env: Some("MESHD_LOG_FORMAT"),
        flag: Some("--log-format"),
        set: set_log_format,
        show: |config| {
            let word = LogFormat::WORDS.iter().find(|(_, format)| *format == config.log.format);
            quoted(&word.map_or("auto", |(word, _)| word))
        },
    },
];

/// The setting with this key.
pub(super) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// All keys.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|setting| setting.key)
}

/// Whether `name` is a table that holds settings.
pub(super) fn is_group(name: &str) -> bool {
    keys().any(|key| key.rsplit_once('.').is_some_and(|(group, _)| group == name))
}

/// `value` as a TOML string. What Rust escapes, TOML reads: both use the same short escapes, and no
/// value that got this far holds a control character worth more.
fn quoted(value: &impl fmt::Display) -> String {
    format!("{:?}", value.to_string())
}

fn set_name(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let allowed = "1 to 63 lower-case letters, digits and hyphens, with no hyphen first or last";
    let Value::Text(text) = value else {
        return Err(allowed.into());
    };
    config.name = Some(text.parse().map_err(|_| allowed)?);
    Ok(())
}

fn set_listen(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
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

fn set_endpoints(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let Value::List(items) = value else {
        return Err("a list of addresses such as [\"192.0.2.1:51820\"]".into());
    };
    if items.len() > MAX_ENDPOINTS {
        return Err(format!("at most {MAX_ENDPOINTS} addresses").into());
    }
    let endpoints: Result<_, _> = items.iter().map(endpoint).collect();
    config.endpoints = endpoints?;
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

fn set_tun(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
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

fn set_mtu(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let mtu = match value {
        Value::Integer(mtu) => u16::try_from(*mtu).ok(),
        _ => None,
    };
    config.mtu = mtu
        .filter(|mtu| (MIN_MTU..=OVERLAY_MTU).contains(mtu))
        .ok_or_else(|| format!("a number of bytes from {MIN_MTU} to {OVERLAY_MTU}"))?;
    Ok(())
}

fn set_workers(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
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

fn set_offloads(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
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

fn set_state_dir(config: &mut Config, value: &Value, source: &Source) -> Result<(), Allowed> {
    config.state_dir = path(value, source)?;
    Ok(())
}

fn set_socket(config: &mut Config, value: &Value, source: &Source) -> Result<(), Allowed> {
    config.socket = path(value, source)?;
    Ok(())
}

/// A path. In the file it must be absolute, because a daemon has no directory a reader could guess.
fn path(value: &Value, source: &Source) -> Result<PathBuf, Allowed> {
    let path = match value {
        Value::Text(text) if !text.is_empty() && !text.contains('\0') => PathBuf::from(text),
        _ => return Err("a path".into()),
    };
    match source {
        Source::File(..) if path.is_relative() => Err("an absolute path".into()),
        _ => std::path::absolute(&path).map_err(|error| format!("a path ({error})").into()),
    }
}

fn set_log_filter(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
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

fn set_log_format(config: &mut Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let found = |word: &str| matches!(value, Value::Text(text) if text == word);
    let format = LogFormat::WORDS.iter().find(|(word, _)| found(word));
    config.log.format = format.ok_or("\"auto\", \"text\", \"json\" or \"journald\"")?.1;
    Ok(())
}
