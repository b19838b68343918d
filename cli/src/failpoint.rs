//! Where a test ends this program: before or after one of its steps on the way from bytes in memory to a file that outlives a power
//! cut, each step by its number.
//!
//! Only a build with the cargo feature `failpoints` has them, and no release build can. `MESH_FAILPOINT=abort:3` has the program
//! die at the fourth such moment, `error:3` has the step fail with EIO. The daemon's own are named, since it makes them at
//! any time; a verb makes the same few in the same order.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests: never in a release build");

/// Says that another such moment has come: an error if the step shall fail, no return if the program shall die.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reached() -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub(crate) fn reached() -> std::io::Result<()> {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};

    const VARIABLE: &str = "MESH_FAILPOINT";
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let passed = PASSED.fetch_add(1, Ordering::Relaxed);
    let said = std::env::var(VARIABLE).unwrap_or_default();
    let strikes = |action: &str| said == format!("{action}:{passed}");
    let tell = || {
        // Whoever charged it looks for this line.
        let _ = writeln!(std::io::stderr().lock(), "failpoint {passed} strikes");
    };
    if strikes("abort") {
        tell();
        std::process::abort();
    }
    if strikes("error") {
        tell();
        return Err(nix::errno::Errno::EIO.into());
    }
    Ok(())
}
