//! An admin's key in a file: an age file (<https://age-encryption.org/v1>) with a passphrase, 0600.
//!
//! ```text
//! mesh admin key 1
//! public: <base64 of the Ed25519 public key>
//! secret: <base64 of its seed>
//! ```
//!
//! The public half is there to notice a damaged secret: any 32 bytes are a valid one.

use std::fmt::Display;
use std::path::Path;

use age::secrecy::SecretString;
use data_encoding::BASE64;
use mesh_model::IdentitySecret;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::file;
use crate::render::safe;
use crate::sealed::{self, Opener};

const TITLE: &str = "mesh admin key 1";

/// The longest key file, in bytes: age's header and 150 bytes take less than 500.
const MAX_FILE: usize = 4096;

/// Writes `secret` to a new file at `path`.
pub(crate) fn write(
    path: &Path,
    secret: &IdentitySecret,
    passphrase: &SecretString,
) -> Result<(), Failure> {
    let seed = Zeroizing::new(BASE64.encode(&*secret.to_seed()));
    let text = Zeroizing::new(format!("{TITLE}\npublic: {}\nsecret: {}\n", secret.public(), *seed));
    let sealed = sealed::seal(text.as_bytes(), passphrase).map_err(|error| bad(path, error))?;
    file::make(path, &sealed)
}

/// The secret in the file at `path`.
pub(crate) fn read(
    path: &Path,
    passphrase: impl FnOnce() -> Result<SecretString, Failure>,
) -> Result<IdentitySecret, Failure> {
    let file = file::read(path, MAX_FILE)?;
    let text = sealed::open(&file, &Opener::Passphrase(passphrase()?), MAX_FILE)
        .map_err(|error| bad(path, error))?;
    let secret = std::str::from_utf8(&text).ok().and_then(parse);
    secret.ok_or_else(|| bad(path, "it opens, but holds no admin's key"))
}

fn bad(path: &Path, why: impl Display) -> Failure {
    let message = format!("{}: {why}", safe(&path.display().to_string()));
    Failure::new(Exit::Failed, "key_file", message, "`mesh admin keygen FILE` makes a key")
}

fn parse(text: &str) -> Option<IdentitySecret> {
    let mut lines = text.lines();
    (lines.next()? == TITLE).then_some(())?;
    let public = lines.next()?.strip_prefix("public: ")?;
    let secret = lines.next()?.strip_prefix("secret: ")?;
    let seed = Zeroizing::new(BASE64.decode(secret.as_bytes()).ok()?);
    let secret = IdentitySecret::from_seed(seed.as_slice().try_into().ok()?);
    (secret.public().to_string() == public && lines.next().is_none()).then_some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_damage_is_noticed() {
        let secret = IdentitySecret::from_seed([7; 32]);
        let seed = BASE64.encode(&*secret.to_seed());
        let text = format!("{TITLE}\npublic: {}\nsecret: {seed}\n", secret.public());
        assert_eq!(parse(&text).map(|read| read.public()), Some(secret.public()));
        let other = IdentitySecret::from_seed([8; 32]).public();
        for bad in [
            text.replace(&secret.public().to_string(), &other.to_string()),
            text.replace(TITLE, "mesh admin key 2"),
            format!("{text}more\n"),
            text[..text.len() - 3].to_owned(),
            String::new(),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }
}
