//! The tunnel library's clock, in the hands of a simulation.
//!
//! With the feature `mock-instant`, boringtun reads a thread-local clock instead of the real one.
//! Whoever drives an [`Engine`](crate::Engine) then keeps two clocks in step: the `now` it passes
//! in, and this one.
//!
//! ```text
//! let epoch = Instant::now();                 // once per run
//! mock::set(Duration::ZERO);                  // on every thread that calls an Engine, before the first
//! ...
//! elapsed += step;
//! mock::set(elapsed);                         // before every call with
//! engine.handle_timeout(epoch + elapsed, &mut sink);
//! ```
//!
//! The clock belongs to the thread and starts at zero there; engines of one thread share it.
//!
//! Two things stay outside: ephemeral keys come from the operating system, so bytes on the wire
//! differ from run to run while lengths and times do not; and the TAI64N stamp of an initiation is
//! the real wall time at which its tunnel was made plus the mock time passed since *the start of
//! the mock clock*. The latter is our doing: counted from the making of each tunnel, as boringtun
//! would, a node restarted in virtual time would stamp lower than before, and its peers would
//! refuse it as a replay for as long as it had lived. A simulation's clock must therefore not run
//! backwards within one thread.

use std::time::Duration;

use mock_instant::MockClock;

/// Where the mock clock stands when no time has passed.
///
/// Tunnels are made at zero (for the stamp) and used from here on. It exceeds the 540 s (3 x
/// Reject-After-Time) after which boringtun expires a tunnel without a session, so that every new
/// tunnel is expired at once, which sets all its timers to the present. Until its first handshake it
/// says so on every tick, where one under the real clock says nothing; `peer` treats both alike.
const START: Duration = Duration::from_secs(600);

/// Sets this thread's clock to `elapsed` since the start of the run.
pub fn set(elapsed: Duration) {
    MockClock::set_time(START + elapsed);
}

/// How much time has passed on this thread's clock since the start of the run.
pub fn elapsed() -> Duration {
    MockClock::time().saturating_sub(START)
}

/// Runs `make` with the clock at zero: how engines make their tunnels. For a simulated stranger who
/// uses boringtun directly and whose initiations are to be as young as the engines'.
pub fn at_zero<T>(make: impl FnOnce() -> T) -> T {
    let time = MockClock::time();
    MockClock::set_time(Duration::ZERO);
    let made = make();
    MockClock::set_time(time);
    made
}
