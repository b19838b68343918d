//! A message together with the signatures of several over its exact bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::{self, CodecError, Message};
use crate::key::{IdentityKey, IdentitySecret, Signature};
use crate::signed::{Signed, SignedError};

/// The most that sign one message: every admin a mesh can have.
pub const MAX_COSIGNERS: usize = 16;

/// A `T` that some have signed, each for itself and in no order.
///
/// Unlike a [`Signed`] it says who they are, because whoever adds the last signature has to see whose are
/// there. By key, so that one who signs twice counts once.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Cosigned<T> {
    payload: Vec<u8>,
    signatures: BTreeMap<IdentityKey, Signature>,
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

/// Payload and signers are bounded wherever they are nested, as those of a [`Signed`] are.
impl<'de, T: Message> Deserialize<'de> for Cosigned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            payload: Vec<u8>,
            signatures: Vec<(IdentityKey, Signature)>,
        }
        let Parts { payload, signatures } = Parts::deserialize(deserializer)?;
        if payload.len() > T::LIMIT {
            let error = CodecError::TooLong { name: T::NAME, len: payload.len(), limit: T::LIMIT };
            return Err(D::Error::custom(error));
        }
        // One value has one encoding: ascending keys, each once.
        if signatures.len() > MAX_COSIGNERS || !signatures.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(D::Error::custom("signers out of order, twice or too many"));
        }
        Ok(Self { payload, signatures: signatures.into_iter().collect(), of: PhantomData })
    }
}

impl<T: Message> Cosigned<T> {
    /// `value`, which nobody has signed yet.
    pub fn new(value: &T) -> Self {
        Self { payload: codec::encode(value), signatures: BTreeMap::new(), of: PhantomData }
    }

    /// `signed`, which `key` signed, and nobody else.
    pub fn of(signed: &Signed<T>, key: IdentityKey) -> Self {
        let signatures = BTreeMap::from([(key, *signed.signature())]);
        Self { payload: signed.payload().to_vec(), signatures, of: PhantomData }
    }

    /// Adds the signature of `secret`. `false` when [`MAX_COSIGNERS`] others are there.
    pub fn sign(&mut self, secret: &IdentitySecret) -> bool {
        let key = secret.public();
        let room = self.signatures.len() < MAX_COSIGNERS || self.signatures.contains_key(&key);
        if room {
            self.signatures.insert(key, secret.sign(T::NAME, &self.payload));
        }
        room
    }

    /// The value, if every signature holds; also when there is none. Whose they are, and whether they are enough, is for
    /// the caller to say.
    pub fn open(&self) -> Result<T, SignedError> {
        for (key, signature) in &self.signatures {
            key.verify(T::NAME, &self.payload, signature)
                .map_err(|source| SignedError::Signature { name: T::NAME, source })?;
        }
        Ok(self.peek()?)
    }

    /// The value, **unverified**.
    pub fn peek(&self) -> Result<T, CodecError> {
        codec::decode(&self.payload)
    }

    /// Whose signatures are there, in ascending order.
    pub fn signers(&self) -> impl ExactSizeIterator<Item = &IdentityKey> {
        self.signatures.keys()
    }

    /// The message with the signature of `key` alone, if it is there.
    pub fn signed_by(&self, key: &IdentityKey) -> Option<Signed<T>> {
        let signature = *self.signatures.get(key)?;
        Some(Signed::of_parts(self.payload.clone(), signature))
    }

    /// The signed bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl<T: Message> fmt::Debug for Cosigned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigned<{}>({} signatures)", T::NAME, self.signatures.len())
    }
}
