//! The join token: one line of text that lets a host in.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{AdminStatement as _, AdminsHead, ChainError, Invite, MeshRoot};
use crate::codec::{self, CodecError};
use crate::key::{IdentityKey, IdentitySecret};
use crate::signed::Signed;

/// What every token starts with: greppable in a leaked log, and no other secret looks like it.
const PREFIX: &str = "mesh1-";

/// The hex digits of checksum at a token's end: a mistyped token is told from a foreign one with
/// odds of 1 in 2^32.
const CHECKSUM_DIGITS: usize = 8;

/// The most members a token names as doors into the mesh.
pub const MAX_BOOTSTRAPS: usize = 8;

/// The longest token, in characters: eight IPv6 bootstraps in base64 need about 1,000.
pub const MAX_TOKEN_LEN: usize = 2048;

/// A door into the mesh: an address and who answers there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Where the member's daemon listens.
    pub endpoint: SocketAddr,
    /// The identity it must prove before it is told anything.
    pub identity: IdentityKey,
}

/// What a host needs to join: whom to trust, whom to ask, and the right to ask.
pub struct Token {
    /// The mesh's root of trust.
    pub root: MeshRoot,
    /// The admin that made the invite. That it is one, the mesh's own state has to show.
    pub admin: IdentityKey,
    /// Who the admins are, as whoever made the token knew: whatever state a joiner is sent has to have come of this.
    pub admins: AdminsHead,
    /// The invite, signed by that admin.
    pub invite: Signed<Invite>,
    /// The invite's secret: signs the joiner's record.
    pub secret: IdentitySecret,
    /// Where to ask, best first; 1 to [`MAX_BOOTSTRAPS`].
    pub bootstraps: Vec<Bootstrap>,
}

/// A token as it is encoded.
#[derive(Serialize, Deserialize)]
struct Body {
    root_key: IdentityKey,
    admin: IdentityKey,
    admins: AdminsHead,
    invite: Signed<Invite>,
    secret: [u8; 32],
    bootstraps: Vec<Bootstrap>,
}

crate::message!(Body, "join token", version 1, limit 1536);

impl zeroize::Zeroize for Body {
    fn zeroize(&mut self) {
        self.secret.zeroize();
    }
}

/// Text that is no usable join token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Something else was pasted.
    #[error("not a join token: a token starts with `{PREFIX}`")]
    NotAToken,
    /// Longer than any token.
    #[error("not a join token: {0} characters, a token has at most {MAX_TOKEN_LEN}")]
    TooLong(usize),
    /// Cut off or mistyped.
    #[error("the join token is damaged: its checksum does not match; copy the whole line again")]
    Damaged,
    /// Intact but not understood: made by another version.
    #[error("the join token is not understood: {0}")]
    Codec(#[from] CodecError),
    /// Intact but forged or mismatched.
    #[error("the join token is not genuine: {0}")]
    Chain(#[from] ChainError),
    /// Names no member to ask.
    #[error("the join token names {0} members to ask; it must name 1 to {MAX_BOOTSTRAPS}")]
    Bootstraps(usize),
}

impl Token {
    /// The invite, verified against the admin's key the token carries.
    pub fn verified_invite(&self) -> Result<Invite, ChainError> {
        Invite::verify(&self.invite, self.root.mesh, &self.admin)
    }

    /// The one line of text to hand over. It is a secret: the caller decides where it goes.
    pub fn to_text(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(Body {
            root_key: self.root.key,
            admin: self.admin,
            admins: self.admins,
            invite: self.invite.clone(),
            secret: *self.secret.to_seed(),
            bootstraps: self.bootstraps.clone(),
        });
        let bytes = Zeroizing::new(codec::encode(&*body));
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&bytes));
        Zeroizing::new(format!("{PREFIX}{}-{}", *text, checksum(&text)))
    }
}

/// The first hex digits of a hash of the token's middle part.
fn checksum(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..CHECKSUM_DIGITS].to_owned()
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_LEN {
            return Err(TokenError::TooLong(text.len()));
        }
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::NotAToken)?;
        let (body, sum) = rest.rsplit_once('-').ok_or(TokenError::Damaged)?;
        if checksum(body) != sum {
            return Err(TokenError::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| TokenError::Damaged)?;
        let body: Zeroizing<Body> = Zeroizing::new(codec::decode(&Zeroizing::new(bytes))?);
        let token = Self {
            root: MeshRoot::of(body.root_key),
            admin: body.admin,
            admins: body.admins,
            invite: body.invite.clone(),
            secret: IdentitySecret::from_seed(body.secret),
            bootstraps: body.bootstraps.clone(),
        };
        let invite = token.verified_invite()?;
        if token.secret.public() != invite.key {
            return Err(ChainError::InviteMismatch.into());
        }
        if !(1..=MAX_BOOTSTRAPS).contains(&token.bootstraps.len()) {
            return Err(TokenError::Bootstraps(token.bootstraps.len()));
        }
        Ok(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(mesh {}, ..)", self.root.mesh)
    }
}
