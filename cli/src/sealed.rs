//! Files of [age](https://age-encryption.org/v1): opened by a key or a passphrase, sealed with a passphrase.
//!
//! A daemon seals for public keys and nothing else; passphrases are people's, so they stay in this program. A file sealed
//! with one is first asked of the daemon for a key of one minute's use, which never leaves this process.

use std::io::{Read as _, Write as _};

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt, x25519};
use zeroize::Zeroizing;

/// How much work a passphrase takes to try, as a power of two: 2^18 takes 256 MiB and about a second. Of a file from elsewhere
/// it is also the most that is tried, since the file says how much, and each step more doubles the memory. `age -p` writes the
/// same; a fast machine measuring for itself, as other programs do, writes 2^19.
const WORK: u8 = 18;

/// What opens a file.
pub(crate) enum Opener {
    /// One of these keys.
    Keys(Vec<x25519::Identity>),
    /// A passphrase.
    Passphrase(SecretString),
}

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealedError {
    /// Not one of age's, or its head is damaged.
    #[error("it is not a file of age, or its head is damaged")]
    OtherFile,
    /// Of a later version of age.
    #[error("it is of a version of age this program does not know")]
    Version,
    /// Sealed for others, or with another passphrase.
    #[error("{0}")]
    Closed(&'static str),
    /// It would take more work, and with it memory, than is spent on a file.
    #[error(
        "its passphrase takes 2^{0} steps to try, the most that is tried is 2^{WORK}; if it is to be trusted, `age -d` opens \
         it and `age -p` seals it anew"
    )]
    Work(u8),
    /// Behind its head it is not what was sealed.
    #[error("it is damaged or cut off")]
    Damaged,
    /// It opens to more than it may.
    #[error("it opens to more than {0} bytes")]
    TooLong(usize),
    /// The library failed.
    #[error("it cannot be sealed: {0}")]
    Failed(String),
}

/// What is in `file`, at most `limit` bytes of it. Nothing of a file that was altered anywhere comes out.
pub(crate) fn open(
    file: &[u8],
    opener: &Opener,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let decryptor =
        Decryptor::new_buffered(file).map_err(|error| explain(error, "it is damaged"))?;
    let reader = match (opener, decryptor.is_scrypt()) {
        (Opener::Keys(keys), false) => {
            let keys = keys.iter().map(|key| key as &dyn age::Identity);
            let other = "it is sealed for other keys than the ones given";
            decryptor.decrypt(keys).map_err(|error| explain(error, other))?
        }
        (Opener::Passphrase(passphrase), true) => {
            let mut key = scrypt::Identity::new(passphrase.clone());
            key.set_max_work_factor(WORK);
            let other = "it is sealed with another passphrase";
            let keys = std::iter::once(&key as &dyn age::Identity);
            decryptor.decrypt(keys).map_err(|error| explain(error, other))?
        }
        (Opener::Keys(_), true) => {
            return Err(SealedError::Closed("it is sealed with a passphrase, not for a key"));
        }
        (Opener::Passphrase(_), false) => {
            return Err(SealedError::Closed("it is sealed for a key, not with a passphrase"));
        }
    };
    // Room for everything at once: growing would leave copies of keys behind. It is never longer than what it came in.
    let mut bytes = Zeroizing::new(Vec::with_capacity(file.len().min(limit + 1)));
    reader.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| SealedError::Damaged)?;
    match bytes.len() > limit {
        true => Err(SealedError::TooLong(limit)),
        false => Ok(bytes),
    }
}

/// `bytes` as a file that `passphrase` opens.
pub(crate) fn seal(bytes: &[u8], passphrase: &SecretString) -> Result<Vec<u8>, SealedError> {
    let failed = |error: std::io::Error| SealedError::Failed(error.to_string());
    let mut file = Vec::new();
    let mut key = scrypt::Recipient::new(passphrase.clone());
    key.set_work_factor(WORK);
    let encryptor = Encryptor::with_recipients(std::iter::once(&key as &dyn age::Recipient))
        .map_err(|error| SealedError::Failed(error.to_string()))?;
    let mut writer = encryptor.wrap_output(&mut file).map_err(failed)?;
    writer.write_all(bytes).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

fn explain(error: DecryptError, closed: &'static str) -> SealedError {
    match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => SealedError::Closed(closed),
        DecryptError::ExcessiveWork { required, .. } => SealedError::Work(required),
        DecryptError::UnknownFormat => SealedError::Version,
        DecryptError::InvalidMac => SealedError::Damaged,
        _ => SealedError::OtherFile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed_for(key: &x25519::Identity, bytes: &[u8]) -> Vec<u8> {
        age::encrypt(&key.to_public(), bytes).expect("sealed")
    }

    #[test]
    fn a_file_opens_for_its_key_and_not_for_another() {
        let (key, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        let file = sealed_for(&key, b"a host");
        let keys = |key| Opener::Keys(vec![key]);
        let both = Opener::Keys(vec![other.clone(), key.clone()]);
        assert_eq!(open(&file, &both, 6).expect("opened").as_slice(), b"a host");
        assert!(matches!(open(&file, &both, 5), Err(SealedError::TooLong(5))));
        assert!(matches!(open(&file, &keys(other), 6), Err(SealedError::Closed(_))));
        let passphrase = Opener::Passphrase("x".to_owned().into());
        assert!(matches!(open(&file, &passphrase, 6), Err(SealedError::Closed(_))));
        assert!(matches!(open(b"meshback", &keys(key), 6), Err(SealedError::OtherFile)));
    }

    #[test]
    fn no_bit_and_no_byte_of_a_file_can_be_missed() {
        let key = x25519::Identity::generate();
        let file = sealed_for(&key, &[7; 300]);
        let opener = Opener::Keys(vec![key]);
        for at in 0..file.len() {
            let mut altered = file.clone();
            altered[at] ^= 1 << (at % 8);
            assert!(open(&altered, &opener, 300).is_err(), "a bit of byte {at}");
            assert!(open(&file[..at], &opener, 300).is_err(), "cut at {at}");
        }
    }

    /// `file`, sealed with a passphrase, as one that says another amount of work.
    fn demanding(file: &[u8], work: &str) -> Vec<u8> {
        let end = file.windows(5).position(|part| part == b"\n--- ").expect("a head");
        let head = std::str::from_utf8(&file[..end]).expect("text");
        let line = head.lines().find(|line| line.starts_with("-> scrypt ")).expect("a passphrase");
        let (kept, _) = line.rsplit_once(' ').expect("how much work");
        let head = head.replace(line, &format!("{kept} {work}"));
        [head.as_bytes(), &file[end..]].concat()
    }

    #[test]
    fn a_passphrase_takes_what_is_tried_and_no_file_can_ask_for_more() {
        let passphrase = SecretString::from("correct horse".to_owned());
        let file = seal(b"a key", &passphrase).expect("sealed");
        let opener = Opener::Passphrase(passphrase);
        assert_eq!(demanding(&file, &WORK.to_string()), file, "what is written is what is tried");
        assert_eq!(open(&file, &opener, 5).expect("opened").as_slice(), b"a key");
        for work in [WORK + 1, WORK + 2, 30, 63, 255] {
            let refused = open(&demanding(&file, &work.to_string()), &opener, 5);
            assert!(
                matches!(refused, Err(SealedError::Work(asked)) if asked == work),
                "{refused:?}"
            );
        }
        for nonsense in ["0", "-1", "018", "256", "x"] {
            assert!(open(&demanding(&file, nonsense), &opener, 5).is_err(), "{nonsense}");
        }
    }
}
