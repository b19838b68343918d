//! The configuration file: TOML, read key by key so that an error can say on which line.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::defaults::Defaults;
use super::error::ConfigError;
use super::settings::{self, Setting};
use super::value::{Source, Value};
use crate::args::RunArgs;

/// The longest file, in bytes: all keys with all their comments fit ten times over.
pub(super) const MAX_FILE: usize = 64 * 1024;

/// How alike a key must be to be suggested, from 0 to 1. Found by trying: 0.75 catches a letter lost
/// or swapped in the shortest keys and suggests nothing for unrelated words.
const ALIKE: f64 = 0.75;

/// One key of the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) value: Value,
    pub(super) source: Source,
}

/// The file to read: the one named, which must exist, or the default one if it does.
pub(super) fn locate(
    flags: &RunArgs,
    env: &dyn Fn(&str) -> Option<OsString>,
    defaults: &Defaults,
) -> Result<Option<PathBuf>, ConfigError> {
    let named = flags.config.clone().map(OsString::from);
    let named = named.or_else(|| env("MESHD_CONFIG").filter(|path| !path.is_empty()));
    if let Some(path) = named {
        return Ok(Some(path.into()));
    }
    let Some(path) = &defaults.config_file else {
        return Ok(None);
    };
    match path.try_exists() {
        Ok(exists) => Ok(exists.then(|| path.clone())),
        Err(source) => Err(ConfigError::Unreadable { path: path.clone(), source }),
    }
}

/// All entries of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE {
        return Err(ConfigError::TooLong { path: path.to_owned() });
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(path, &text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].split(|byte| *byte == b'\n').count();
            Err(ConfigError::Syntax {
                origin: Source::File(path.to_owned(), line),
                message: "bytes that are not UTF-8".to_owned(),
            })
        }
    }
}

/// All entries of `text`, which stands in the file at `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let at = |offset| Source::File(path.to_owned(), line_of(text, offset));
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        origin: at(error.span().map_or(text.len(), |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut entries = Vec::new();
    collect(table.get_ref(), "", &at, &mut entries)?;
    Ok(entries)
}

/// Adds the entries of `table`, whose keys all start with `prefix`.
fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    at: &dyn Fn(usize) -> Source,
    entries: &mut Vec<Entry>,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        if let Some(setting) = settings::by_key(&name) {
            let source = at(value.span().start);
            entries.push(Entry { setting, value: convert(value), source });
        } else if let (Some(inner), true) = (value.get_ref().as_table(), settings::is_group(&name))
        {
            collect(inner, &format!("{name}."), at, entries)?;
        } else {
            let nearest = nearest(&name);
            return Err(ConfigError::UnknownKey {
                origin: at(key.span().start),
                key: name,
                nearest,
            });
        }
    }
    Ok(())
}

fn convert(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.as_str().to_owned()), Value::Integer),
        DeValue::Array(items) => Value::List(items.iter().map(convert).collect()),
        DeValue::Float(number) => Value::Other(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Value::Other(truth.to_string()),
        DeValue::Datetime(time) => Value::Other(format!("the date {time}")),
        DeValue::Table(_) => Value::Other("a table".to_owned()),
    }
}

/// The line that holds byte `offset` of `text`, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The key that was probably meant by `found`, compared whole and by its last part: the group may be
/// what is missing.
fn nearest(found: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    settings::keys()
        .map(|key| {
            let whole = strsim::jaro_winkler(found, key);
            (whole.max(strsim::jaro_winkler(&last(found), &last(key))), key)
        })
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}
