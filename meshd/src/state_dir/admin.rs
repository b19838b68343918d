//! `admin.key`: the mesh's root secret, on the host that ran `mesh init`.
//!
//! ```text
//! meshd admin 1
//! root-public: <base64 of the Ed25519 public key>
//! root-secret: <base64 of its seed>
//! ```

use mesh_model::{IdentityKey, IdentitySecret};
use zeroize::Zeroizing;

use super::fields::{Fields, secret_line};

pub(super) const TITLE: &str = "meshd admin 1";
const FIELDS: [&str; 2] = ["root-public", "root-secret"];

/// The root secret in `text`, if it is that of `root`; otherwise what is wrong.
pub(super) fn parse(text: &str, root: &IdentityKey) -> Result<IdentitySecret, String> {
    let fields = Fields::parse(text, TITLE, &FIELDS)?;
    let secret = IdentitySecret::from_seed(*fields.secret("root-secret")?);
    fields.check("root-public", &secret.public().to_string())?;
    if secret.public() != *root {
        return Err("field `root-public` is the root of another mesh than this host's".to_owned());
    }
    Ok(secret)
}

/// What the file holds.
pub(super) fn to_text(secret: &IdentitySecret) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "{TITLE}\nroot-public: {}\n{}",
        secret.public(),
        *secret_line("root-secret", &secret.to_seed()),
    ))
}
