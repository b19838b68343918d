//! Wall time: the one thing a handshake says about the world outside.

use std::time::Duration;

/// Time since the Unix epoch by some host's wall clock. Never read here: the shell hands it in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub Duration);
