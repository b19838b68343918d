//! A message together with a signature over its exact bytes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::{self, CodecError, Message};
use crate::key::{IdentityKey, IdentitySecret, Signature, SignatureError};

/// A `T` that someone signed.
///
/// The bytes that were signed are kept as they came, so a later version of `T` still verifies what
/// an earlier one signed. The only way to the value is through [`Signed::open`], which checks the
/// signature first; [`Signed::peek`] is for finding out *whose* key that should be.
///
/// It remembers the key that opened it: a proposal is opened when it is looked at and again when it is agreed, and checking a
/// signature is the dearest part of either.
#[derive(Clone, Serialize)]
pub struct Signed<T> {
    payload: Vec<u8>,
    signature: Signature,
    /// Set once the signature was found to be this key's. Nothing changes the bytes after that.
    #[serde(skip)]
    opened_by: OnceLock<IdentityKey>,
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}

/// A payload is bounded like the message it is, wherever it is nested: what was taken in can be written
/// out again, whoever made it.
impl<'de, T: Message> Deserialize<'de> for Signed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            payload: Vec<u8>,
            signature: Signature,
        }
        let Parts { payload, signature } = Parts::deserialize(deserializer)?;
        if payload.len() > T::LIMIT {
            let error = CodecError::TooLong { name: T::NAME, len: payload.len(), limit: T::LIMIT };
            return Err(D::Error::custom(error));
        }
        Ok(Self::of_parts(payload, signature))
    }
}

/// Why a signed message is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Not signed by the key it should be, or altered since.
    #[error("{name}: {source}")]
    Signature {
        /// The message.
        name: &'static str,
        /// What failed.
        source: SignatureError,
    },
    /// Signed, but not a message this build understands.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl<T: Message> Signed<T> {
    /// Signs `value` with `secret`. [`Message::NAME`] is the context.
    pub fn seal(value: &T, secret: &IdentitySecret) -> Self {
        let payload = codec::encode(value);
        let signature = secret.sign(T::NAME, &payload);
        Self::of_parts(payload, signature)
    }

    /// Bytes and a signature that somebody else put together.
    pub(crate) fn of_parts(payload: Vec<u8>, signature: Signature) -> Self {
        Self { payload, signature, opened_by: OnceLock::new(), of: PhantomData }
    }

    /// The signature.
    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The value, if `key` signed it.
    pub fn open(&self, key: &IdentityKey) -> Result<T, SignedError> {
        if self.opened_by.get() != Some(key) {
            key.verify(T::NAME, &self.payload, &self.signature)
                .map_err(|source| SignedError::Signature { name: T::NAME, source })?;
            // One that is set is another key's, and as good.
            let _ = self.opened_by.set(*key);
        }
        Ok(codec::decode(&self.payload)?)
    }

    /// The value, **unverified**: only to learn which key to [`open`](Self::open) it with.
    pub fn peek(&self) -> Result<T, CodecError> {
        codec::decode(&self.payload)
    }

    /// The signed bytes, to be countersigned.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl<T: Message> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed<{}>({} bytes)", T::NAME, self.payload.len())
    }
}
