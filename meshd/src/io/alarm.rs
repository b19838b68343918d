//! One deadline that a task waits for over and over.
//!
//! Setting a timer that comes before all others wakes the runtime that sets it, through the kernel, only to
//! look at its timers again. A loop that sets a new one every time around pays for that with every packet.
//! An alarm keeps its timer and touches it when the deadline has really moved.

use std::pin::Pin;
use std::time::Instant;

use tokio::time::Sleep;

/// Waits for deadlines, one after the other.
#[derive(Default)]
pub(crate) struct Alarm {
    /// The timer and what it is set to.
    set: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Alarm {
    /// Returns at `deadline`, at once if that is past; never without one. Can be dropped half way and asked
    /// again.
    pub(crate) async fn wait(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        let (set_to, sleep) = self
            .set
            .get_or_insert_with(|| (deadline, Box::pin(tokio::time::sleep_until(deadline.into()))));
        if *set_to != deadline {
            *set_to = deadline;
            sleep.as_mut().reset(deadline.into());
        }
        sleep.as_mut().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn waits(alarm: &mut Alarm, deadline: Option<Instant>) -> Duration {
        let before = tokio::time::Instant::now();
        // The runtime's clock stands still until everybody waits, then jumps to the next timer.
        let done = tokio::time::timeout(Duration::from_secs(3600), alarm.wait(deadline)).await;
        assert_eq!(done.is_ok(), deadline.is_some());
        before.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_waited_for_wherever_the_last_one_was() {
        let start = tokio::time::Instant::now().into_std();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut alarm = Alarm::default();
        assert_eq!(waits(&mut alarm, at(10)).await.as_secs(), 10);
        assert_eq!(waits(&mut alarm, at(10)).await.as_secs(), 0, "past is at once");
        assert_eq!(waits(&mut alarm, at(30)).await.as_secs(), 20);
        let given_up = tokio::time::timeout(Duration::from_secs(1), alarm.wait(at(100))).await;
        assert!(given_up.is_err());
        assert_eq!(waits(&mut alarm, at(40)).await.as_secs(), 9, "an earlier one than was set");
        assert_eq!(waits(&mut alarm, None).await.as_secs(), 3600);
    }
}
