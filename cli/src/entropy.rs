//! Randomness for keys, from the system.

use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

/// What a new key grows from.
pub(crate) fn seed() -> Result<Zeroizing<[u8; 32]>, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| {
        Failure::new(Exit::Failed, "entropy", format!("the system gives no entropy: {error}"), "")
    })?;
    Ok(seed)
}
