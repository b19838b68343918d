//! How a request ended, as a number of `errno.h`.

use std::fmt;

/// An error number; 0 is success. The numbers are Linux's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// All went well.
    pub const OK: Self = Self(0);
    /// Not to be changed through this socket (EPERM).
    pub const NOT_PERMITTED: Self = Self(1);
    /// The device does not answer any more (EIO).
    pub const IO: Self = Self(5);
    /// More than the device takes (E2BIG).
    pub const TOO_BIG: Self = Self(7);
    /// No such interface (ENODEV).
    pub const NO_DEVICE: Self = Self(19);
    /// A request that is none (EINVAL).
    pub const INVALID: Self = Self(22);

    /// What the system said; [`IO`](Self::IO) when it named no number.
    pub fn of(error: &std::io::Error) -> Self {
        error.raw_os_error().filter(|number| *number > 0).map_or(Self::IO, Self)
    }

    /// The number as `errno.h` has it.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "errno {}", self.0)
    }
}
