//! How QUIC is set up here: small, patient where it should be, and quick to notice a dead link.

use std::sync::Arc;
use std::time::Duration;

use mesh_model::addr::OVERLAY_MTU;
use quinn::{EndpointConfig, IdleTimeout, TransportConfig, VarInt};

/// The largest QUIC datagram on the overlay, in bytes: the overlay MTU less 40 (IPv6) and 8 (UDP).
pub(crate) const OVERLAY_PAYLOAD: u16 = OVERLAY_MTU - 48;

/// The largest QUIC datagram on the underlay, in bytes: what every path must carry (RFC 9000,
/// section 14). Joining moves little; discovering more would cost more than it wins.
pub(crate) const UNDERLAY_PAYLOAD: u16 = 1200;

/// A connection is given up after this much silence while it has something to say. Above the
/// longest way to a new leader (2 s), so that a slow member is not redialled in the midst of an
/// election; short, so that a restarted member is found again soon.
const IDLE: Duration = Duration::from_secs(4);

/// The round trip assumed before one is measured: a lost first packet is repeated after three of
/// them (RFC 9002 would take a second).
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// The most of one stream that may be under way, in bytes: 1 MiB fills 200 Mbit/s over 40 ms, and a
/// snapshot is the only thing that long.
const STREAM_WINDOW: u32 = 1 << 20;

/// The most of one connection that may be under way, in bytes: a snapshot beside everything else.
const CONNECTION_WINDOW: u32 = 2 << 20;

/// `config` for an endpoint whose datagrams are at most `payload` bytes. quinn's receive buffer is
/// 32 times that.
pub(crate) fn endpoint(mut config: EndpointConfig, payload: u16) -> EndpointConfig {
    config
        .max_udp_payload_size(payload.max(UNDERLAY_PAYLOAD))
        .expect("at least 1200 bytes, which is what QUIC demands");
    // The packet core knows QUIC by its fixed bit (RFC 9287 lets endpoints blur it).
    config.grease_quic_bit(false);
    config
}

/// Settings of connections whose datagrams are at most `payload` bytes and whose peer may hold
/// `streams` requests open at once.
pub(crate) fn transport(payload: u16, streams: u32) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .initial_mtu(payload)
        .min_mtu(UNDERLAY_PAYLOAD)
        .mtu_discovery_config(None)
        .initial_rtt(INITIAL_RTT)
        .max_idle_timeout(Some(
            IdleTimeout::try_from(IDLE).expect("four seconds fit a QUIC integer"),
        ))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW));
    Arc::new(config)
}
