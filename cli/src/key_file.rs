//! An admin's key in a file: an age file (<https://age-encryption.org/v1>) with a passphrase, 0600.
//!
//! ```text
//! mesh admin key 1
//! public: <base64 of the Ed25519 public key>
//! secret: <base64 of its seed>
//! ```
//!
//! The public half is there to notice a damaged secret: any 32 bytes are a valid one.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use data_encoding::BASE64;
use mesh_model::IdentitySecret;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::render::safe;

const TITLE: &str = "mesh admin key 1";

/// scrypt's cost, as a power of two: 128 MiB and half a second for whoever guesses, at each guess (OWASP's
/// recommendation for r = 8).
const WORK_FACTOR: u8 = 17;

/// The highest cost a file may ask for: 1 GiB.
const MAX_WORK_FACTOR: u8 = 20;

/// The longest key file: age's header and 150 bytes take less than 500.
const MAX_FILE: u64 = 4096;

/// Writes `secret` to a new file at `path`.
pub(crate) fn write(
    path: &Path,
    secret: &IdentitySecret,
    passphrase: SecretString,
) -> Result<(), Failure> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let written = file.as_mut().map_err(|error| io::Error::new(error.kind(), error.to_string()));
    let written = written.and_then(|file| {
        file.write_all(&seal(secret, passphrase)?)?;
        file.sync_all()
    });
    written.map_err(|error| {
        if file.is_ok() {
            // Half a key is worth nothing, and would stand in the way of the next try.
            let _ = std::fs::remove_file(path);
        }
        let message =
            format!("cannot write the key to {}: {error}", safe(&path.display().to_string()));
        Failure::new(Exit::Failed, "key_file", message, "name a file that does not exist yet")
    })
}

/// The file's content.
fn seal(secret: &IdentitySecret, passphrase: SecretString) -> io::Result<Vec<u8>> {
    let seed = Zeroizing::new(BASE64.encode(&*secret.to_seed()));
    let text = Zeroizing::new(format!("{TITLE}\npublic: {}\nsecret: {}\n", secret.public(), *seed));
    let mut recipient = scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(WORK_FACTOR);
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient));
    let encryptor = encryptor.map_err(io::Error::other)?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(text.as_bytes())?;
    writer.finish()?;
    Ok(sealed)
}

/// The secret in the file at `path`.
pub(crate) fn read(
    path: &Path,
    passphrase: impl FnOnce() -> Result<SecretString, Failure>,
) -> Result<IdentitySecret, Failure> {
    let bad = |message: String| {
        let message = format!("{}: {message}", safe(&path.display().to_string()));
        Failure::new(Exit::Failed, "key_file", message, "`mesh admin keygen FILE` makes a key")
    };
    let mut sealed = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut sealed));
    read.map_err(|error| bad(error.to_string()))?;
    if sealed.len() as u64 > MAX_FILE {
        return Err(bad("longer than any admin's key".to_owned()));
    }
    let decryptor = Decryptor::new(&sealed[..]);
    let decryptor = decryptor.map_err(|_| bad("not an admin's key".to_owned()))?;
    let mut identity = scrypt::Identity::new(passphrase()?);
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let identity = iter::once(&identity as &dyn age::Identity);
    let mut text = Zeroizing::new(String::new());
    let opened = decryptor
        .decrypt(identity)
        .and_then(|mut reader| reader.read_to_string(&mut text).map_err(DecryptError::Io));
    opened.map_err(|error| match error {
        DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys => {
            bad("the passphrase is wrong, or the file is damaged".to_owned())
        }
        other => bad(other.to_string()),
    })?;
    parse(&text).ok_or_else(|| bad("it opens, but holds no admin's key".to_owned()))
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
