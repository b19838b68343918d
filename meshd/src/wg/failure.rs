//! Why a device cannot be, and what its operator can do.

use crate::exit::{Exit, Reason};
use crate::io::tun::TunError;
use crate::io::udp::BindError;
use crate::io::unix_socket::SocketError;

/// The interface cannot be made.
pub(super) fn no_interface(error: TunError) -> Exit {
    let because = |what: String| Exit::because(Reason::Environment, what);
    match error {
        TunError::Capability(name) => because(format!(
            "cannot create the interface `{name}`: the capability CAP_NET_ADMIN is missing"
        ))
        .remedy("run it as root"),
        TunError::Missing(name) => {
            because(format!("cannot create the interface `{name}`: /dev/net/tun is missing"))
                .remedy("load the `tun` kernel module, or give the container the device")
        }
        TunError::Busy(name) => {
            because(format!("cannot create the interface `{name}`: it is in use"))
                .remedy("remove it with `ip link del`, or choose another name")
        }
        TunError::Name(_) => Exit::because(Reason::Usage, error),
        TunError::Other { .. } => Exit::because(Reason::Environment, error),
    }
}

/// The configuration socket cannot be had.
pub(super) fn no_socket(error: SocketError) -> Exit {
    let remedy = match &error {
        SocketError::Live { .. } => "stop the other device, or choose another name",
        SocketError::NotASocket(_) => "remove it if it is yours, or choose another name",
        SocketError::TooLong(_) => "choose a shorter name",
        SocketError::Io { .. } => "run it as root",
    };
    Exit::because(Reason::Environment, error)
        .meaning("`wg` could not configure the device")
        .remedy(remedy)
}

/// There is no UDP port at all.
pub(super) fn no_port(error: BindError) -> Exit {
    Exit::because(Reason::Environment, error)
        .meaning("without a UDP port the device can reach nobody")
}
