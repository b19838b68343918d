//! Configuration: defaults, then the file, then the environment, then flags; the later one wins.
//!
//! Every setting is one row of [`settings::SETTINGS`]: its key in the file, its environment variable,
//! its flag, and what it may be. A value is checked wherever it stands, also where a later layer
//! overrides it: a mistake in the file should not wait for the day a flag is dropped.

mod backup;
mod defaults;
mod error;
mod file;
mod setters;
mod settings;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use mesh_control::pairs::PostQuantum;
use mesh_model::addr::OVERLAY_MTU;
use mesh_model::trust::Name;

use backup::BackupGiven;
pub(crate) use backup::BackupPlan;
pub(crate) use error::ConfigError;

use crate::args::{RunArgs, StateDirArgs, WgArgs};
use crate::io::offloads::Offloads;
use defaults::Defaults;
use settings::SETTINGS;
use value::{Source, Value};

/// The smallest MTU: what every IPv6 link must carry (RFC 8200, section 5).
pub(crate) const MIN_MTU: u16 = 1280;

/// WireGuard's customary port.
pub(crate) const DEFAULT_PORT: u16 = 51820;

/// The interface's name unless said otherwise.
const DEFAULT_INTERFACE: &str = "mesh0";

/// Packet threads unless said otherwise: on two cores a second one takes from the other programs what it
/// gives to the packets.
const DEFAULT_WORKERS: usize = 1;

/// What is worth a line in the log: our own decisions, and our own word on what failed. openraft warns
/// several times a second while a member is away and calls it an error to ask one that does not lead.
/// `mesh status` shows what they mean.
const DEFAULT_LOG: &str = "info,openraft=off";

/// Everything the daemon is told from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// This host's name when it starts or joins a mesh and the request names none.
    pub(crate) name: Option<Name>,
    /// The one UDP port.
    pub(crate) listen: Listen,
    /// The kernel interface.
    pub(crate) tun: Tun,
    /// The interface's MTU, in bytes.
    pub(crate) mtu: u16,
    /// How many packet threads share the peers.
    pub(crate) workers: usize,
    /// Which of the kernel's offloads may be used.
    pub(crate) offloads: Offloads,
    /// Whether this host agrees on pair keys with other members.
    pub(crate) post_quantum: PostQuantum,
    /// Where state is kept.
    pub(crate) state_dir: PathBuf,
    /// Where the local API listens.
    pub(crate) socket: PathBuf,
    /// Underlay addresses to announce before those found on the interfaces.
    pub(crate) endpoints: Vec<SocketAddr>,
    /// What to log, and how.
    pub(crate) log: Log,
    /// The backups to make without being asked.
    pub(crate) backup: Option<BackupPlan>,
    /// The file this was read from.
    pub(crate) file: Option<PathBuf>,
    /// The settings of `[backup]` as they were given.
    backup_given: BackupGiven,
}

/// Where the one UDP socket listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen {
    /// One address, or all of them in both families.
    pub(crate) addr: Option<IpAddr>,
    /// The port; 0 takes any that is free.
    pub(crate) port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            Some(addr) => SocketAddr::new(addr, self.port).fmt(f),
            None => self.port.fmt(f),
        }
    }
}

/// Where packets for the mesh come from and go to on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tun {
    /// A kernel interface of this name.
    Kernel(String),
    /// Nowhere: only control traffic and `mesh ping` work, and no right is needed.
    None,
}

impl fmt::Display for Tun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel(name) => name,
            Self::None => "none",
        })
    }
}

/// What to log, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// Directives of `tracing_subscriber::EnvFilter`, checked.
    pub(crate) filter: String,
    /// The shape of a line.
    pub(crate) format: LogFormat,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Journald's own when systemd started us, text otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
    /// Structured fields to journald.
    Journald,
}

impl LogFormat {
    /// All, with the words they go by.
    const WORDS: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("text", Self::Text),
        ("json", Self::Json),
        ("journald", Self::Journald),
    ];
}

/// A configuration and where each of its values comes from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What is in force.
    pub(crate) config: Config,
    sources: BTreeMap<&'static str, Source>,
}

impl Loaded {
    /// One line per setting: key, value, and where the value comes from.
    pub(crate) fn explain(&self) -> String {
        let line = |setting: &settings::Setting| {
            let source = self.sources.get(setting.key).unwrap_or(&Source::Default);
            format!("{} = {}  # {source}\n", setting.key, (setting.show)(&self.config))
        };
        SETTINGS.iter().map(line).collect()
    }
}

/// What a configuration starts from: the settings that need no host to have a default.
fn blank(defaults: &Defaults) -> Config {
    Config {
        name: None,
        listen: Listen { addr: None, port: DEFAULT_PORT },
        tun: Tun::Kernel(DEFAULT_INTERFACE.to_owned()),
        mtu: OVERLAY_MTU,
        workers: DEFAULT_WORKERS,
        offloads: Offloads::ALL,
        post_quantum: PostQuantum::Off,
        state_dir: defaults.state_dir.clone(),
        socket: PathBuf::new(),
        endpoints: Vec::new(),
        log: Log { filter: DEFAULT_LOG.to_owned(), format: LogFormat::Auto },
        backup: None,
        file: None,
        backup_given: BackupGiven::default(),
    }
}

/// Reads all layers. `env` looks a variable up; `root` is whether the daemon runs as root.
pub(crate) fn load(
    flags: &RunArgs,
    env: &dyn Fn(&str) -> Option<OsString>,
    root: bool,
) -> Result<Loaded, ConfigError> {
    let defaults = Defaults::of_host(env, root);
    let mut loaded = Loaded { config: blank(&defaults), sources: BTreeMap::new() };
    if let Some(path) = file::locate(flags, env, &defaults)? {
        loaded.config.file = Some(path.clone());
        for entry in file::read(&path)? {
            loaded.set(entry.setting, &entry.value, entry.source)?;
        }
    }
    loaded.overlay(SETTINGS, flags, env)?;
    let config = &mut loaded.config;
    if config.state_dir.as_os_str().is_empty() {
        return Err(ConfigError::NoStateDir);
    }
    config.backup = config.backup_given.plan()?;
    if config.socket.as_os_str().is_empty() {
        config.socket = defaults.socket_for(&config.state_dir);
    }
    Ok(loaded)
}

/// Where a daemon with this configuration file and this flag keeps its state, in the environment of this process.
pub(crate) fn state_dir(args: &StateDirArgs) -> Result<PathBuf, ConfigError> {
    let StateDirArgs { config, state_dir } = args.clone();
    let flags = RunArgs { config, state_dir, ..RunArgs::default() };
    let root = nix::unistd::geteuid().is_root();
    Ok(load(&flags, &|name| std::env::var_os(name), root)?.config.state_dir)
}

/// What a plain device is told from outside: it has no file, and of the settings what concerns it.
#[derive(Debug)]
pub(crate) struct PlainConfig {
    /// What to log, and how.
    pub(crate) log: Log,
    /// How many packet threads share the peers.
    pub(crate) workers: usize,
    /// Which of the kernel's offloads may be used.
    pub(crate) offloads: Offloads,
}

/// Reads the flags of a plain device and the environment.
pub(crate) fn load_plain(
    args: &WgArgs,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<PlainConfig, ConfigError> {
    let flags = RunArgs {
        log: args.log.clone(),
        log_format: args.log_format.clone(),
        workers: args.workers.clone(),
        offloads: args.offloads.clone(),
        ..RunArgs::default()
    };
    let blank = blank(&Defaults::of_host(env, false));
    let mut loaded = Loaded { config: blank, sources: BTreeMap::new() };
    let concerns = |key: &str| ["workers", "offloads"].contains(&key) || key.starts_with("log.");
    loaded.overlay(SETTINGS.iter().filter(|setting| concerns(setting.key)), &flags, env)?;
    let Config { log, workers, offloads, .. } = loaded.config;
    Ok(PlainConfig { log, workers, offloads })
}

impl Loaded {
    /// Lays the environment and then the flags over what there is.
    fn overlay(
        &mut self,
        settings: impl IntoIterator<Item = &'static settings::Setting> + Clone,
        flags: &RunArgs,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(), ConfigError> {
        for setting in settings.clone() {
            if let Some((name, text)) = from_env(setting, env)? {
                self.set(setting, &Value::Text(text), Source::Env(name))?;
            }
        }
        for setting in settings {
            if let Some(flag) = setting.flag
                && let Some(text) = flags.value_of(flag)
            {
                self.set(setting, &Value::Text(text.to_owned()), Source::Flag(flag))?;
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        setting: &'static settings::Setting,
        value: &Value,
        source: Source,
    ) -> Result<(), ConfigError> {
        (setting.set)(&mut self.config, value, &source).map_err(|allowed| ConfigError::Wrong {
            origin: source.clone(),
            key: setting.key,
            found: value.to_string(),
            allowed: allowed.0,
        })?;
        self.sources.insert(setting.key, source);
        Ok(())
    }
}

/// The setting's variable, if it is set to anything. Empty counts as unset, as everywhere in Unix.
fn from_env(
    setting: &settings::Setting,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<(&'static str, String)>, ConfigError> {
    let Some(name) = setting.env else {
        return Ok(None);
    };
    match env(name) {
        Some(value) if !value.is_empty() => match value.into_string() {
            Ok(text) => Ok(Some((name, text))),
            Err(raw) => Err(ConfigError::Wrong {
                origin: Source::Env(name),
                key: setting.key,
                found: format!("{raw:?}"),
                allowed: "text in UTF-8".to_owned(),
            }),
        },
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
