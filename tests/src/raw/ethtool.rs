//! Offloads of an interface, by the ethtool ioctl (linux/ethtool.h): a few have a command of their
//! own, all have a name.

use std::ffi::c_int;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::check;

/// Sub-commands that switch an offload.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(crate) enum Offload {
    /// Checksums of sent packets are left to the device.
    TxChecksum = 0x17,
    /// TCP super-packets.
    TcpSegmentation = 0x1f,
    /// Super-packets of every kind.
    Segmentation = 0x24,
}

/// Asks for the names of a set, one in [`NAME`] bytes.
const GSTRINGS: u32 = 0x1b;

/// Asks for the sizes of sets.
const GSSET_INFO: u32 = 0x37;

/// Asks which features are on, by their place in [`FEATURES`].
const GFEATURES: u32 = 0x3a;

/// Switches features by their place in [`FEATURES`].
const SFEATURES: u32 = 0x3b;

/// The set of names that features have.
const FEATURES: u32 = 4;

/// Bytes of a name, its end padded with zeroes.
const NAME: usize = 32;

/// The most features there may be: twice as many as the kernel has bits for.
const MAX_FEATURES: usize = 128;

/// Switches `offload` of `interface` off. `socket` is any socket of the interface's namespace.
pub(crate) fn switch_off(
    socket: BorrowedFd<'_>,
    interface: &str,
    offload: Offload,
) -> io::Result<()> {
    ask(socket, interface, &mut [offload as u32, 0]).map(drop)
}

/// Switches the feature called `name`, in `ethtool -k --json`'s words or the kernel's, on or off.
pub(crate) fn set_feature(
    socket: BorrowedFd<'_>,
    interface: &str,
    name: &str,
    on: bool,
) -> io::Result<()> {
    let Place { blocks, block, bit } = place(socket, interface, name)?;
    // After the head, a pair of words for every block: which are meant, and which shall be on.
    let mut request = vec![0; 2 + 2 * blocks];
    request[0] = SFEATURES;
    request[1] = blocks as u32;
    request[2 + 2 * block] = bit;
    request[3 + 2 * block] = if on { bit } else { 0 };
    match ask(socket, interface, &mut request)? {
        0 => Ok(()),
        _ => Err(io::Error::other(format!("the device keeps `{name}` as it is"))),
    }
}

/// Whether the feature called `name`, in the same words, is on.
pub(crate) fn has_feature(socket: BorrowedFd<'_>, interface: &str, name: &str) -> io::Result<bool> {
    let Place { blocks, block, bit } = place(socket, interface, name)?;
    // After the head, four words for every block: which can be switched, which were asked for, which are on, and which
    // nobody can switch.
    let mut reply = vec![0; 2 + 4 * blocks];
    reply[0] = GFEATURES;
    reply[1] = blocks as u32;
    ask(socket, interface, &mut reply)?;
    Ok(reply[2 + 4 * block + 2] & bit != 0)
}

/// Where a feature is told of.
struct Place {
    /// Blocks of 32 features that there are.
    blocks: usize,
    /// Which of them is meant.
    block: usize,
    /// Its bit there.
    bit: u32,
}

fn place(socket: BorrowedFd<'_>, interface: &str, name: &str) -> io::Result<Place> {
    let names = feature_names(socket, interface)?;
    let Some(at) = names.iter().position(|known| known == name) else {
        return Err(io::Error::other(format!("the kernel knows no feature `{name}`")));
    };
    Ok(Place { blocks: names.len().div_ceil(32), block: at / 32, bit: 1 << (at % 32) })
}

fn feature_names(socket: BorrowedFd<'_>, interface: &str) -> io::Result<Vec<String>> {
    let mut sizes = [GSSET_INFO, 0, 0, 0, 0];
    let wanted = (1u64 << FEATURES).to_ne_bytes();
    for (word, bytes) in sizes[2..4].iter_mut().zip(wanted.as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    ask(socket, interface, &mut sizes)?;
    let count = (sizes[4] as usize).min(MAX_FEATURES);
    let mut reply = vec![0; 3 + count * NAME / 4];
    reply[0] = GSTRINGS;
    reply[1] = FEATURES;
    reply[2] = count as u32;
    ask(socket, interface, &mut reply)?;
    let text: Vec<u8> = reply[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let name = |padded: &[u8]| {
        let end = padded.iter().position(|&byte| byte == 0).unwrap_or(padded.len());
        String::from_utf8_lossy(&padded[..end]).into_owned()
    };
    Ok(text.chunks_exact(NAME).map(name).collect())
}

/// Hands the kernel a request that begins with its sub-command; the answer is written over it.
fn ask(socket: BorrowedFd<'_>, interface: &str, request: &mut [u32]) -> io::Result<c_int> {
    // SAFETY: ifreq is plain integers and a union of them; all zeroes is a valid value.
    let mut envelope: libc::ifreq = unsafe { zeroed() };
    if interface.len() >= envelope.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (slot, byte) in envelope.ifr_name.iter_mut().zip(interface.bytes()) {
        *slot = byte as libc::c_char;
    }
    envelope.ifr_ifru.ifru_data = request.as_mut_ptr().cast();
    // SAFETY: SIOCETHTOOL reads and writes what `ifr_data` points to, as many words as the
    // sub-command implies; the callers above make `request` that long, and both outlive the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut envelope) })
}
