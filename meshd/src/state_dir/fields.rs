//! The text format of key files: a title with a version, then one `name: value` line per field.
//!
//! People look into these files and copy them between machines; the format survives that (comments,
//! blank lines, trailing newline) and nothing else: an unknown, missing or repeated field is an error
//! that names it.

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The longest key file, in bytes: the longest one we write takes half of it.
pub(super) const MAX_KEY_FILE: usize = 2048;

/// The version that `text` says, if its first line is `title` but for that: another build wrote it, and nothing is wrong with it.
pub(super) fn other_version(text: &str, title: &str) -> Option<u32> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let ((kind, ours), (found, version)) = (title.rsplit_once(' ')?, first?.rsplit_once(' ')?);
    let version = (found == kind && version != ours).then_some(version)?;
    version.parse().ok()
}

/// The fields of a key file.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// The fields of `text`, if it starts with `title` and has exactly the fields `names`.
    pub(super) fn parse(text: &'a str, title: &str, names: &[&str]) -> Result<Self, String> {
        let mut lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        if lines.next() != Some(title) {
            return Err(format!("its first line is not `{title}`"));
        }
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a line is not `name: value`")?;
            let name = name.trim();
            if !names.contains(&name) {
                return Err("it has a field this version does not know".to_owned());
            }
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(format!("field `{name}` stands there twice"));
            }
            fields.push((name, value.trim()));
        }
        Ok(Self { fields })
    }

    /// Whether there is a field `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| *known == name)
    }

    /// The value of field `name`.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, String> {
        let field = self.fields.iter().find(|(known, _)| *known == name);
        field.map(|(_, value)| *value).ok_or_else(|| format!("field `{name}` is missing"))
    }

    /// The 32 secret bytes of field `name`.
    pub(super) fn secret(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, String> {
        let wrong = || format!("field `{name}` is not 32 bytes in base64");
        let decoded = BASE64.decode(self.text(name)?.as_bytes()).map_err(|_| wrong())?;
        let decoded = Zeroizing::new(decoded);
        let mut bytes = Zeroizing::new([0; 32]);
        if decoded.len() != bytes.len() {
            return Err(wrong());
        }
        bytes.copy_from_slice(&decoded);
        Ok(bytes)
    }

    /// Checks that field `name` says `expected`.
    pub(super) fn check(&self, name: &str, expected: &str) -> Result<(), String> {
        if self.text(name)? == expected {
            Ok(())
        } else {
            Err(format!("field `{name}` does not belong to the secret beside it"))
        }
    }
}

/// A line for the 32 secret bytes of field `name`.
pub(super) fn secret_line(name: &str, secret: &[u8; 32]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64.encode(secret));
    Zeroizing::new(format!("{name}: {}\n", *encoded))
}
