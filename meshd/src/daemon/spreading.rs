//! Who has heard: waiting until everyone has applied what was agreed.
//!
//! Gossip carries how far each member has applied the log, news of it once a second at most.

use std::time::{Duration, Instant};

use mesh_model::api::v1::{AppliedBy, ErrorBody, ErrorCode};
use mesh_model::view::ClusterView;
use mesh_model::{LogIndex, MemberId};

use super::Mesh;
use super::refusal::{Answer, ending, refusal};
use crate::io::clock;

/// How often gossip is asked who has applied what: news of that comes once a second at most.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The most missing members that an error names.
const NAMED: usize = 10;

impl Mesh {
    /// Waits until every present member has applied the log up to `index`, for so long as somebody wants to.
    pub(super) async fn applied_by_all_within(
        &self,
        index: LogIndex,
        wait_ms: Option<u64>,
    ) -> Answer<Option<AppliedBy>> {
        match wait_ms {
            Some(wait_ms) => {
                self.applied_by_all(index, Duration::from_millis(wait_ms)).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Waits until every present member has applied the log up to `index`.
    async fn applied_by_all(&self, index: LogIndex, limit: Duration) -> Answer<AppliedBy> {
        let begun = clock::now();
        loop {
            let missing = self.behind(index).await.ok_or_else(ending)?;
            let view = self.view();
            let of = view.members.len();
            let waited = begun.elapsed();
            if missing.is_empty() {
                let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                return Ok(AppliedBy { members: of, of, waited_ms });
            }
            if waited >= limit {
                return Err(not_everywhere(index, &view, &missing, begun));
            }
            tokio::time::sleep(LOOK_AGAIN.min(limit - waited)).await;
        }
    }
}

fn not_everywhere(
    index: LogIndex,
    view: &ClusterView,
    missing: &[MemberId],
    begun: Instant,
) -> ErrorBody {
    let of = view.members.len();
    let known = missing.iter().filter_map(|id| view.members.get(id)).take(NAMED);
    let named: Vec<String> =
        known.map(|member| format!("{} ({})", member.name, member.id)).collect();
    let named = named.join(", ");
    let more = missing.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    refusal(
        ErrorCode::TimedOut,
        format!(
            "it is agreed at index {index}, but after {:.1} s only {} of {of} members are known to have \
             applied it; missing: {named}{more}",
            begun.elapsed().as_secs_f64(),
            of - missing.len().min(of),
        ),
        "members that are down go on as before when they come back, until they hear of it; `mesh peers` shows who is",
    )
}
