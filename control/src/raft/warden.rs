//! The leader's calendar: bans and exclusions end when their time is over.
//!
//! That a ban is over has to be agreed like the ban itself, or members with different clocks would differ in
//! whom they speak to. So the warden runs on every member, and where the leader is it
//! proposes the end of each ban when the leader's clock has passed it. Everywhere it looks whether that clock can be
//! right, and says so in the log if not ([`stamps`](super::stamps)).

use std::sync::Arc;
use std::time::Duration;

use mesh_model::{LogIndex, MemberId};
use openraft::async_runtime::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::rt::Select3;

use super::group::{Inner, leadership};
use super::propose::{Applied, Tried};
use super::runtime::Runtime;
use super::stamps::FarStamp;
use super::status::Role;
use crate::command::{Command, Outcome, Proposal};

/// The longest the warden sleeps while a ban is to end: the clock may be set meanwhile, and a ban that
/// ends a minute late is no surprise.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The pause after a try that came to nothing: an election is over by then.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// As good as never: what a warden with nothing to do sleeps, a day at a time.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// The task; see the [module](self).
pub(super) struct Warden {
    inner: Arc<Inner>,
    /// The entry that was said last to be stamped wrong.
    told: Option<LogIndex>,
}

impl Warden {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, told: None }
    }

    /// Until Raft ends.
    pub(super) async fn run(mut self) {
        let mut views = self.inner.views.clone();
        let mut server = self.inner.raft.server_metrics();
        let mut wait = Duration::ZERO;
        loop {
            let sleep = Runtime::sleep(wait);
            match Runtime::select3(server.changed(), views.changed(), sleep).await {
                Select3::First(Err(_)) | Select3::Second(Err(_)) => return,
                Select3::First(Ok(())) | Select3::Second(Ok(())) | Select3::Third(()) => {}
            }
            self.look_at_stamps();
            wait = match self.next_lapse() {
                None => IDLE,
                Some((member, left)) if left.is_zero() => self.end_ban(member).await,
                Some((_, left)) => left.min(LOOK_AGAIN),
            };
        }
    }

    /// Says who stamped with a time that has not come yet, once for each entry.
    fn look_at_stamps(&mut self) {
        let far = self.inner.far_entry().map(|(index, _)| index);
        let is_news = far != self.told;
        self.told = far;
        if let Some(FarStamp { index, at_ms, by }) =
            is_news.then(|| self.inner.far_stamp()).flatten()
        {
            let by = by.map(tracing::field::display);
            tracing::warn!(
                index,
                at_ms,
                by,
                "something was agreed with a stamp from the future: the clock of who led is wrong, or this host's, or it cheats; \
                 bans may end early by it, and invites expire"
            );
        }
    }

    /// Whose ban this leader is to end next, and in how long.
    fn next_lapse(&self) -> Option<(MemberId, Duration)> {
        if leadership(&self.inner.raft).role != Role::Leader {
            return None;
        }
        let (member, due_ms) = self.inner.replica.lock().state.next_lapse()?;
        let left_ms = due_ms.saturating_sub(self.inner.wall.wall_ms());
        Some((member, Duration::from_millis(left_ms)))
    }

    /// Has the end of `member`'s ban agreed; how long to wait before the next look.
    async fn end_ban(&self, member: MemberId) -> Duration {
        let proposal = Proposal { at_ms: 0, command: Command::Lapse(member) };
        match Box::pin(self.inner.propose_here(proposal)).await {
            Ok(Tried::Applied(Applied { outcome: Outcome::Lapsed(_), .. })) => {
                tracing::info!(%member, "a ban's time is over");
                Duration::ZERO
            }
            Ok(_) | Err(_) => TRY_AGAIN,
        }
    }
}
