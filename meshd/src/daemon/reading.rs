//! How new an answer is: before it is read, and beside it.

use mesh_control::raft::{Freshness, ReadError};
use mesh_model::api::v1::{AsOf, ErrorBody, ErrorCode};

use super::Daemon;
use super::refusal::{Answer, not_joined, paused, refusal};

/// What could not be had, in an error.
const WHAT: &str = "reading what is agreed now";

impl Daemon {
    /// How new that is which is read from now on; first makes it as new as what is agreed now, if that is wanted.
    /// `None` on a host that belongs to no mesh and so has nothing agreed to show.
    pub(crate) async fn as_of(&self, consistent: bool) -> Answer<Option<AsOf>> {
        let Some(mesh) = self.mesh.load_full() else {
            return if consistent { Err(not_joined()) } else { Ok(None) };
        };
        if consistent {
            let caught_up = self.unless_stopping(mesh.group.catch_up()).await?;
            caught_up.map_err(|error| {
                mesh.without_agreement(WHAT).unwrap_or_else(|| not_read(&error))
            })?;
        }
        let Freshness { applied, age } = mesh.group.freshness();
        let age_ms = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Ok(Some(AsOf { applied, age_ms, consistent }))
    }
}

fn not_read(error: &ReadError) -> ErrorBody {
    let code = match error {
        ReadError::NoQuorum => ErrorCode::NoQuorum,
        ReadError::Behind(_) => ErrorCode::TimedOut,
        ReadError::Stopped => return paused(WHAT),
    };
    let message = format!("{WHAT} is not possible: {error}");
    refusal(code, message, "leave out `--consistent` to see what this host has, and how old it is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_agreement_begins_anew_is_no_bug_to_report() {
        assert_eq!(not_read(&ReadError::Stopped).code, ErrorCode::Unreachable);
    }
}
