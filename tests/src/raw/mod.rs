//! The few system calls that have no safe wrapper: everything `unsafe` in the lab is in this folder.

#![allow(unsafe_code)]

pub(crate) mod batch;
pub(crate) mod child;
pub(crate) mod ethtool;
mod frame;
pub(crate) mod limit;
pub(crate) mod signal;

use std::ffi::c_int;
use std::io;

pub(crate) use frame::frame_socket;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
