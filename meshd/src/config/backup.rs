//! `[backup]`: backups to make without being asked.

use std::path::PathBuf;

use mesh_control::keeping::Keeping;
use mesh_model::api::v1::MAX_RECIPIENTS;

use super::ConfigError;
use super::setters::{Allowed, path};
use super::value::{Source, Value};
use crate::io::sealed::Recipient;

/// The shortest time from one backup to the next, in seconds: what changes faster is not what a backup is for.
const MIN_EVERY_S: u64 = 60;

/// The longest, in seconds: a year.
const MAX_EVERY_S: u64 = 366 * 86_400;

/// How many are kept unless said otherwise: a week of daily ones.
const DEFAULT_KEEP: usize = 7;

/// The most that are kept: each look lists them all.
const MAX_KEEP: usize = 1000;

/// The backups to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupPlan {
    /// When to make one, and how many to keep.
    pub(crate) keeping: Keeping,
    /// Who can read them.
    pub(crate) recipients: Vec<Recipient>,
    /// Where they go.
    pub(crate) directory: PathBuf,
}

/// The settings as they were given, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BackupGiven {
    every_s: Option<u64>,
    keep: Option<usize>,
    recipients: Vec<Recipient>,
    directory: Option<PathBuf>,
}

impl BackupGiven {
    /// The plan they make: all of one, or none.
    pub(super) fn plan(&self) -> Result<Option<BackupPlan>, ConfigError> {
        let given = [
            ("every", self.every_s.is_some()),
            ("directory", self.directory.is_some()),
            ("recipients", !self.recipients.is_empty()),
        ];
        match (self.every_s, &self.directory, self.recipients.as_slice()) {
            (Some(every_s), Some(directory), [_, ..]) => Ok(Some(BackupPlan {
                keeping: Keeping { every_ms: every_s * 1000, keep: self.keep() },
                recipients: self.recipients.clone(),
                directory: directory.clone(),
            })),
            _ => {
                let named = given.iter().find(|(_, is_given)| *is_given);
                let missing = given.iter().find(|(_, is_given)| !*is_given);
                match (named, missing) {
                    (Some((given, _)), Some((missing, _))) => {
                        Err(ConfigError::BackupIncomplete { given, missing })
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    pub(super) fn keep(&self) -> usize {
        self.keep.unwrap_or(DEFAULT_KEEP)
    }

    pub(super) fn show_every(&self) -> String {
        self.every_s.map_or("(never)".to_owned(), |every_s| format!("\"{every_s}s\""))
    }

    pub(super) fn show_directory(&self) -> String {
        self.directory.as_ref().map_or("(none)".to_owned(), |path| format!("{path:?}"))
    }

    pub(super) fn show_recipients(&self) -> String {
        let quoted: Vec<_> = self.recipients.iter().map(|to| format!("\"{to}\"")).collect();
        format!("[{}]", quoted.join(", "))
    }
}

pub(super) fn every(config: &mut super::Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let seconds = match value {
        Value::Text(text) => seconds(text),
        _ => None,
    };
    let bounds = MIN_EVERY_S..=MAX_EVERY_S;
    config.backup_given.every_s =
        Some(seconds.filter(|seconds| bounds.contains(seconds)).ok_or(
            "a time from \"60s\" to \"366d\": a number and s, m, h or d, such as \"24h\"",
        )?);
    Ok(())
}

pub(super) fn keep(config: &mut super::Config, value: &Value, _: &Source) -> Result<(), Allowed> {
    let keep = match value {
        Value::Integer(keep) => usize::try_from(*keep).ok(),
        _ => None,
    };
    let keep = keep.filter(|keep| (1..=MAX_KEEP).contains(keep));
    config.backup_given.keep =
        Some(keep.ok_or_else(|| format!("a number of backups from 1 to {MAX_KEEP}"))?);
    Ok(())
}

pub(super) fn directory(
    config: &mut super::Config,
    value: &Value,
    source: &Source,
) -> Result<(), Allowed> {
    config.backup_given.directory = Some(path(value, source)?);
    Ok(())
}

pub(super) fn recipients(
    config: &mut super::Config,
    value: &Value,
    _: &Source,
) -> Result<(), Allowed> {
    let allowed =
        "a list of age recipients such as [\"age1...\"]; `age-keygen -y KEYFILE` prints a key's";
    let Value::List(items) = value else { return Err(allowed.into()) };
    if items.len() > MAX_RECIPIENTS {
        return Err(format!("at most {MAX_RECIPIENTS} recipients").into());
    }
    let parsed = items.iter().map(|item| item.text().and_then(|text| text.parse().ok()));
    config.backup_given.recipients = parsed.collect::<Option<_>>().ok_or(allowed)?;
    Ok(())
}

/// `90s`, `30m`, `24h`, `7d`.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    // `parse` alone would take a sign.
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse::<u64>().ok()?.checked_mul(unit))?
}
