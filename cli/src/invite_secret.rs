//! An invite's secret in a file, for as long as the invite is on its way to a signature: text, 0600.
//!
//! ```text
//! mesh invite secret 1
//! mesh: <its id>
//! secret: <base64 of the seed of the invite's key>
//! ```
//!
//! It is not encrypted, as a token is not: it is good for what the token is good for, and no longer.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use mesh_model::{IdentitySecret, MeshId};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::file;
use crate::render::safe;

const TITLE: &str = "mesh invite secret 1";

/// The longest such file, in bytes: what is written has 120.
const MAX_FILE: usize = 512;

/// The invite's secret that is kept in a file.
pub(crate) struct InviteSecret {
    /// The mesh the invite is for.
    pub(crate) mesh: MeshId,
    /// The secret of its key.
    pub(crate) secret: IdentitySecret,
}

/// Where the secret of the invite that is written to `request` is kept.
pub(crate) fn path_beside(request: &Path) -> PathBuf {
    request.with_added_extension("secret")
}

impl InviteSecret {
    /// Writes it to a new file at `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        file::make(path, self.to_text().as_bytes())
    }

    /// The one in the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = Zeroizing::new(file::read(path, MAX_FILE)?);
        let read = std::str::from_utf8(&bytes).ok().and_then(Self::of_text);
        read.ok_or_else(|| {
            let message = format!("{} holds no invite's secret", safe(&path.display().to_string()));
            let hint = "`mesh invite --out FILE` leaves it in FILE.secret";
            Failure::new(Exit::Failed, "input", message, hint)
        })
    }

    fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(BASE64.encode(&*self.secret.to_seed()));
        Zeroizing::new(format!("{TITLE}\nmesh: {}\nsecret: {}\n", self.mesh, *seed))
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == TITLE).then_some(())?;
        let mesh = lines.next()?.strip_prefix("mesh: ")?.parse().ok()?;
        let secret = lines.next()?.strip_prefix("secret: ")?;
        let seed = Zeroizing::new(BASE64.decode(secret.as_bytes()).ok()?);
        let secret = IdentitySecret::from_seed(seed.as_slice().try_into().ok()?);
        lines.next().is_none().then_some(Self { mesh, secret })
    }
}

#[cfg(test)]
mod tests {
    use mesh_model::trust::MeshRoot;

    use super::*;

    #[test]
    fn a_secret_survives_its_text_and_damage_is_noticed() {
        let secret = IdentitySecret::from_seed([7; 32]);
        let kept = InviteSecret { mesh: MeshRoot::of(secret.public()).mesh, secret };
        let text = kept.to_text();
        let read = InviteSecret::of_text(&text).expect("our own");
        assert_eq!((read.mesh, read.secret.public()), (kept.mesh, kept.secret.public()));
        for bad in [
            text.replace(TITLE, "mesh invite secret 2"),
            format!("{}more\n", *text),
            text[..text.len() - 3].to_owned(),
            String::new(),
        ] {
            assert!(InviteSecret::of_text(&bad).is_none(), "{bad}");
        }
    }
}
