//! Logs: text for people, JSON for pipelines, structured fields for journald. Always on stderr or to
//! the journal, never on stdout.

use std::io::{IsTerminal as _, stderr};
use std::os::fd::AsFd as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use crate::config::{Log, LogFormat};
use crate::exit::{Exit, Reason};

type Layer = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// Starts logging. Once per process.
pub(crate) fn init(log: &Log) -> Result<(), Exit> {
    let filter = EnvFilter::builder().parse(&log.filter).map_err(|error| {
        Exit::because(Reason::Usage, format_args!("log filter `{}`: {error}", log.filter))
    })?;
    let layer = match log.format {
        LogFormat::Text => text(),
        LogFormat::Json => fmt::layer().json().with_writer(stderr).boxed(),
        LogFormat::Journald => journald().map_err(|error| {
            Exit::because(Reason::Environment, format_args!("journald cannot be reached: {error}"))
                .meaning("the log has nowhere to go")
                .remedy("use --log-format text or json")
        })?,
        // Systemd also catches stderr, so a journal that cannot be reached costs only the fields.
        LogFormat::Auto if stderr_is_the_journal() => journald().unwrap_or_else(|_| text()),
        LogFormat::Auto => text(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|error| Exit::because(Reason::Bug, format_args!("logging: {error}")))
}

/// Whether there is a journal to log to.
pub(crate) fn journal_is_there() -> bool {
    tracing_journald::layer().is_ok()
}

fn text() -> Layer {
    let colour =
        stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    fmt::layer().with_ansi(colour).with_writer(stderr).boxed()
}

fn journald() -> std::io::Result<Layer> {
    Ok(tracing_journald::layer()?.with_syslog_identifier("meshd".to_owned()).boxed())
}

/// Whether stderr goes to the journal: systemd names the stream's device and inode in
/// `JOURNAL_STREAM` (systemd.exec(5)). A daemon started by hand from such a service has the variable
/// but another stderr.
fn stderr_is_the_journal() -> bool {
    let Ok(stat) = nix::sys::stat::fstat(stderr().as_fd()) else {
        return false;
    };
    std::env::var("JOURNAL_STREAM")
        .is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
