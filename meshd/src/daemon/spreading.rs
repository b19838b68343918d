//! Who has heard: waiting until everyone has applied what was agreed.
//!
//! Gossip carries how far each member has applied the log, news of it once a second at most.

use std::time::{Duration, Instant};

use mesh_model::api::v1::{AppliedBy, ErrorBody, ErrorCode, MemberName};
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
    let missing: Vec<MemberName> = missing
        .iter()
        .filter_map(|id| view.members.get(id))
        .map(|member| MemberName { member: member.id, name: member.name.clone() })
        .collect();
    let named: Vec<String> =
        missing.iter().take(NAMED).map(|who| format!("{} ({})", who.name, who.member)).collect();
    let named = named.join(", ");
    let more = missing.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let refusal = refusal(
        ErrorCode::TimedOut,
        format!(
            "it is agreed at index {index}, but after {:.1} s only {} of {of} members are known to have \
             applied it; missing: {named}{more}",
            begun.elapsed().as_secs_f64(),
            of - missing.len().min(of),
        ),
        "members that are down go on as before when they come back, until they hear of it; `mesh peers` shows who is",
    );
    ErrorBody { missing, ..refusal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::fixture;

    #[test]
    fn programs_get_all_that_are_missing_and_people_the_first_ten() {
        for (absent, more) in [(9, None), (10, None), (12, Some(" and 2 more"))] {
            let ids: Vec<u8> = (1..=absent + 1).collect();
            let view = fixture::view(&ids);
            let missing: Vec<MemberId> =
                ids[1..].iter().map(|id| MemberId(u64::from(*id))).collect();
            let told = not_everywhere(7, &view, &missing, clock::now());
            let listed: Vec<MemberId> = told.missing.iter().map(|who| who.member).collect();
            assert_eq!(listed, missing);
            let (_, named) = told.message.split_once("missing: ").expect("it names them");
            assert_eq!(named.matches(" (m").count(), missing.len().min(NAMED));
            assert!(named.ends_with(more.unwrap_or(")")), "{named}");
            assert!(told.message.contains(&format!("only 1 of {}", absent + 1)));
        }
    }
}
