//! Bytes sealed for people: files of [age](https://age-encryption.org/v1), which a stock `age -d` opens as well.
//!
//! Sealing takes public keys alone, so a daemon can make backups that it cannot read again. Opening them, and passphrases,
//! are not for a daemon: `mesh` does both.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use age::Encryptor;

/// Somebody who can open what is sealed for them: an X25519 public key in age's own words, `age1...`.
#[derive(Clone)]
pub(crate) struct Recipient(age::x25519::Recipient);

impl FromStr for Recipient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Recipient {}

/// Why bytes were not sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// For nobody: they could not be opened again.
    #[error("a backup needs somebody who can read it")]
    Nobody,
    /// The library failed.
    #[error("the backup cannot be encrypted: {0}")]
    Failed(String),
}

/// `bytes` as a file that each of `recipients` can open and nobody else.
pub(crate) fn seal(bytes: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>, SealError> {
    if recipients.is_empty() {
        return Err(SealError::Nobody);
    }
    let failed = |error: &dyn fmt::Display| SealError::Failed(error.to_string());
    let to = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(to).map_err(|error| failed(&error))?;
    let mut file = Vec::with_capacity(bytes.len() + bytes.len() / 1024 + 4096);
    let mut writer = encryptor.wrap_output(&mut file).map_err(|error| failed(&error))?;
    writer.write_all(bytes).map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_can_open_it_and_nobody_else() {
        let keys = [(), (), ()].map(|()| age::x25519::Identity::generate());
        let recipient = |key: &age::x25519::Identity| {
            key.to_public().to_string().parse::<Recipient>().expect("a recipient")
        };
        let sealed = seal(b"a host", &[recipient(&keys[0]), recipient(&keys[1])]).expect("sealed");
        assert!(!sealed.windows(6).any(|part| part == b"a host"));
        assert_eq!(age::decrypt(&keys[0], &sealed).expect("opened"), b"a host");
        assert_eq!(age::decrypt(&keys[1], &sealed).expect("opened"), b"a host");
        assert!(age::decrypt(&keys[2], &sealed).is_err());
        assert!(matches!(seal(b"a host", &[]), Err(SealError::Nobody)));
        assert!("age1qqqq".parse::<Recipient>().is_err());
    }
}
