//! Virtual wall time, also for code that asks the operating system.
//!
//! boringtun stamps handshakes with `SystemTime::now` and a peer refuses a stamp that is not newer
//! than the last (WireGuard whitepaper, section 5.1). In virtual time a minute passes in
//! milliseconds, so a restarted host would stamp with an older time than before its crash and be
//! refused, differently in each run. Its mock clock covers `Instant` only; this file covers the rest
//! by standing in for the C library's `clock_gettime` in this one program.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// The wall time of the world that runs on this thread, since the Unix epoch.
    static WALL: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Where virtual wall time starts: 1 January 2026, in seconds since the Unix epoch.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// Sets this thread's wall time to `elapsed` since [`EPOCH`].
pub fn set(elapsed: Duration) {
    WALL.set(Some(EPOCH + elapsed));
}

/// The wall time in milliseconds since the Unix epoch, `elapsed` after the world's start.
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from((EPOCH + elapsed).as_millis()).expect("within the lifetime of this program")
}

/// Stands in for the C library's function of this name: virtual for the wall clock of a thread that
/// has set one, the real thing otherwise.
#[allow(unsafe_code)] // The symbol replaces a C function, so its signature and linkage must be C's.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, out: *mut libc::timespec) -> libc::c_int {
    if clock == libc::CLOCK_REALTIME
        && let Some(wall) = WALL.get()
        && !out.is_null()
    {
        let spec = libc::timespec {
            tv_sec: wall.as_secs() as libc::time_t,
            tv_nsec: wall.subsec_nanos() as libc::c_long,
        };
        // SAFETY: the caller hands in a valid timespec, as the C function demands; null is excluded.
        unsafe { out.write(spec) };
        return 0;
    }
    // SAFETY: the system call takes the same two arguments with the same meaning.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, out) as libc::c_int }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_wall_clock_of_a_world_is_its_own() {
        set(Duration::from_secs(5));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(now, EPOCH + Duration::from_secs(5));
        let elsewhere = std::thread::spawn(SystemTime::now).join().unwrap();
        assert_ne!(elsewhere.duration_since(SystemTime::UNIX_EPOCH).unwrap(), now);
    }
}
