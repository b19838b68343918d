//! The settings: for each its key, its variable, its flag, and who checks it.

use std::fmt;

use super::setters::{self, Allowed};
use super::value::{Source, Value};
use super::{Config, LogFormat};

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
        set: setters::name,
        show: |config| config.name.as_ref().map_or("(the host name)".to_owned(), quoted),
    },
    Setting {
        key: "listen",
        env: Some("MESHD_LISTEN"),
        flag: Some("--listen"),
        set: setters::listen,
        show: |config| match config.listen.addr {
            Some(_) => quoted(&config.listen),
            None => config.listen.to_string(),
        },
    },
    Setting {
        key: "endpoints",
        env: None,
        flag: None,
        set: setters::endpoints,
        show: |config| {
            let quoted: Vec<_> = config.endpoints.iter().map(quoted).collect();
            format!("[{}]", quoted.join(", "))
        },
    },
    Setting {
        key: "tun",
        env: Some("MESHD_TUN"),
        flag: Some("--tun"),
        set: setters::tun,
        show: |config| quoted(&config.tun),
    },
    Setting {
        key: "mtu",
        env: None,
        flag: None,
        set: setters::mtu,
        show: |config| config.mtu.to_string(),
    },
    Setting {
        key: "workers",
        env: Some("MESHD_WORKERS"),
        flag: Some("--workers"),
        set: setters::workers,
        show: |config| config.workers.to_string(),
    },
    Setting {
        key: "offloads",
        env: Some("MESHD_OFFLOADS"),
        flag: Some("--offloads"),
        set: setters::offloads,
        show: |config| {
            let on = config.offloads.named().into_iter().filter(|(_, on)| *on);
            let quoted: Vec<_> = on.map(|(name, _)| quoted(&name)).collect();
            format!("[{}]", quoted.join(", "))
        },
    },
    Setting {
        key: "post_quantum",
        env: Some("MESHD_POST_QUANTUM"),
        flag: Some("--post-quantum"),
        set: setters::post_quantum,
        show: |config| {
            let mut known = setters::POST_QUANTUM.iter();
            let word = known.find(|(_, mode)| *mode == config.post_quantum);
            quoted(&word.map_or("off", |(word, _)| word))
        },
    },
    Setting {
        key: "state_dir",
        env: Some("MESHD_STATE_DIR"),
        flag: Some("--state-dir"),
        set: setters::state_dir,
        show: |config| quoted(&config.state_dir.display()),
    },
    Setting {
        key: "socket",
        env: Some("MESH_SOCKET"),
        flag: Some("--socket"),
        set: setters::socket,
        show: |config| quoted(&config.socket.display()),
    },
    Setting {
        key: "backup.every",
        env: None,
        flag: None,
        set: super::backup::every,
        show: |config| config.backup_given.show_every(),
    },
    Setting {
        key: "backup.keep",
        env: None,
        flag: None,
        set: super::backup::keep,
        show: |config| config.backup_given.keep().to_string(),
    },
    Setting {
        key: "backup.directory",
        env: None,
        flag: None,
        set: super::backup::directory,
        show: |config| config.backup_given.show_directory(),
    },
    Setting {
        key: "backup.recipients",
        env: None,
        flag: None,
        set: super::backup::recipients,
        show: |config| config.backup_given.show_recipients(),
    },
    Setting {
        key: "log.filter",
        env: Some("MESHD_LOG"),
        flag: Some("--log"),
        set: setters::log_filter,
        show: |config| quoted(&config.log.filter),
    },
    Setting {
        key: "log.format",
        env: Some("MESHD_LOG_FORMAT"),
        flag: Some("--log-format"),
        set: setters::log_format,
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
