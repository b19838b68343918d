//! What stands to the right of the `=`.

use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use ipnet::IpNet;
use zeroize::Zeroizing;

use super::{AllowedIp, Endpoint};

/// The longest interface name the kernel takes, in bytes (IFNAMSIZ less its end mark).
const MAX_INTERFACE: usize = 15;

/// A key: 64 hex digits.
pub(super) fn key(value: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let fits = HEXLOWER_PERMISSIVE.decode_len(value.len()) == Ok(bytes.len());
    let decoded = fits.then(|| HEXLOWER_PERMISSIVE.decode_mut(value, &mut *bytes))?;
    decoded.is_ok().then_some(bytes)
}

/// A key of which all zeros means "none": `Some(None)`.
pub(super) fn key_or_none(value: &[u8]) -> Option<Option<Zeroizing<[u8; 32]>>> {
    Some(Some(key(value)?).filter(|bytes| bytes.iter().any(|byte| *byte != 0)))
}

/// An X25519 secret as it is used: with the bits set and cleared that RFC 7748, section 5 demands. The kernel and
/// wireguard-go show it so too.
pub(super) fn clamp(bytes: &mut [u8; 32]) {
    bytes[0] &= 0b1111_1000;
    bytes[31] = bytes[31] & 0b0111_1111 | 0b0100_0000;
}

/// A decimal number without a sign.
pub(super) fn number<T: FromStr>(value: &[u8]) -> Option<T> {
    // The standard library would take a plus.
    value.first().filter(|first| first.is_ascii_digit())?;
    text(value)?.parse().ok()
}

/// Seconds; 0 is never.
pub(super) fn interval(value: &[u8]) -> Option<Option<Duration>> {
    let seconds: u16 = number(value)?;
    Some((seconds > 0).then(|| Duration::from_secs(seconds.into())))
}

/// The only thing that can be said to a yes-or-no key.
pub(super) fn yes(value: &[u8]) -> Option<()> {
    (value == b"true").then_some(())
}

/// `192.0.2.1:51820`, `[2001:db8::1]:51820`, `[fe80::1%2]:51820` or `[fe80::1%eth0]:51820`.
pub(super) fn endpoint(value: &[u8]) -> Option<Endpoint> {
    let text = text(value)?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(Endpoint::At(canonical(address)));
    }
    let (address, rest) = text.strip_prefix('[')?.split_once('%')?;
    let (interface, port) = rest.rsplit_once("]:")?;
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if interface.is_empty() || interface.len() > MAX_INTERFACE || interface.contains(odd) {
        return None;
    }
    let address: Ipv6Addr = address.parse().ok()?;
    let port = number(port.as_bytes())?;
    Some(Endpoint::OnLink { address, port, interface: interface.to_owned() })
}

/// An IPv4 address written as IPv6 (RFC 4291, section 2.5.5.2) is an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()),
        _ => address,
    }
}

/// `10.0.0.0/8`, or `-10.0.0.0/8` for one that is to go.
pub(super) fn allowed_ip(value: &[u8]) -> Option<AllowedIp> {
    let prefix = |text: &str| text.parse::<IpNet>().ok().map(|net| net.trunc());
    let text = text(value)?;
    match text.strip_prefix('-') {
        Some(text) => prefix(text).map(AllowedIp::Remove),
        None => prefix(text).map(AllowedIp::Add),
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}
