//! `Engine::handle_datagram` for whoever is not a peer: whatever it is sent, it answers with nothing, or
//! with one cookie no longer than the question, and nothing changes but one counter.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use blake2::digest::{Digest as _, FixedOutput as _, Update as _};
use mesh_dataplane::{
    Drop, Endpoint, Engine, EngineConfig, HandshakeBudget, PeerStats, Rate, Role, Steer, WallTime,
    steer,
};
use mesh_model::plan::{PeerPlan, Preshared, Update};
use mesh_model::{MemberId, OverlayAddrs, TunnelKey, TunnelSecret};

use crate::cursor::Cursor;
use crate::outbox::Outbox;

/// Lengths of the messages that have only one (WireGuard paper, section 5.4).
const INITIATION: usize = 148;
const RESPONSE: usize = 92;
const COOKIE: usize = 64;

/// The shortest data message: a header and an empty sealed packet.
const DATA: usize = 32;

/// Steps of one script.
const MAX_STEPS: usize = 16;

/// So little that a script uses it up.
const BUDGET: HandshakeBudget = HandshakeBudget {
    free: Rate { burst: 4, per_second: 2 },
    free_per_source: Rate { burst: 3, per_second: 1 },
    proven_per_source: Rate { burst: 2, per_second: 1 },
};

/// After so long an engine has forgotten all strangers: buckets are full and cookies void.
const FORGOTTEN: Duration = Duration::from_secs(3_600);

thread_local! {
    /// The victim of the last script, and when that ended: to make one is worth a hundred datagrams.
    static VICTIM: Cell<Option<(Engine, Instant)>> = const { Cell::new(None) };
}

/// Sends the datagrams in the input.
pub fn run(input: &[u8]) {
    let (mut engine, ended) = VICTIM.take().unwrap_or_else(|| (victim(start()), start()));
    let ended = play(input, &mut engine, ended + FORGOTTEN);
    VICTIM.set(Some((engine, ended)));
}

/// Plays the script in the input; when it ended.
fn play(input: &[u8], engine: &mut Engine, mut now: Instant) -> Instant {
    let mut cursor = Cursor::new(input);
    let untouched: Vec<_> = engine.peers().collect();
    for _ in 0..MAX_STEPS {
        if cursor.is_empty() {
            break;
        }
        let step = cursor.u8();
        let source = cursor.u8();
        if step & 0x80 != 0 {
            now += Duration::from_millis(u64::from(source) * 5);
        }
        let from = SocketAddr::from(([192, 0, 2, source >> 6], 1000 + u16::from(source & 0x3f)));
        let datagram = datagram(step, &mut cursor);
        judge(engine, &untouched, from, datagram, now);
    }
    now
}

/// Any instant will do.
pub(crate) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

pub(crate) fn secret(n: u8) -> TunnelSecret {
    TunnelSecret::from_bytes([n; 32])
}

/// An engine of a host, with the addresses of overlay host `n`.
pub(crate) fn engine(n: u8, role: Role, budget: HandshakeBudget, now: Instant) -> Engine {
    let wall = WallTime(Duration::from_secs(1_800_000_000));
    let stamp_floor = WallTime::default();
    let config = EngineConfig { secret: Some(secret(n)), role, budget, wall, stamp_floor };
    Engine::new(config, [n; 32], now)
}

pub(crate) fn addrs(n: u8) -> OverlayAddrs {
    OverlayAddrs { v4: [10, 98, 0, n].into(), v6: [0xfd00, 0, 0, 0, 0, 0, 0, n.into()].into() }
}

pub(crate) fn plan(n: u8, allowed_ips: &[&str]) -> PeerPlan {
    PeerPlan {
        member: MemberId(n.into()),
        allowed_ips: allowed_ips.iter().map(|net| net.parse().expect("a prefix")).collect(),
        endpoints: vec![SocketAddr::from(([192, 0, 2, 100 + n], 51820))],
        keepalive: None,
        before: None,
        preshared: Preshared::None,
        inbound: Default::default(),
    }
}

/// Who is attacked: host 1, which knows host 2 and has never heard of it.
fn victim(now: Instant) -> Engine {
    let mut engine = engine(1, Role::Member(addrs(1)), BUDGET, now);
    let plan = plan(2, &["10.98.0.2/32", "fd00::2/128"]);
    engine.handle_update(Update::SetPeer(public(2), plan), now, &mut Outbox::default());
    engine
}

/// The public key of host `n`, worked out once.
pub(crate) fn public(n: u8) -> TunnelKey {
    static KEYS: [OnceLock<TunnelKey>; 4] = [const { OnceLock::new() }; 4];
    *KEYS[usize::from(n)].get_or_init(|| secret(n).public())
}

/// A datagram as the step says: arbitrary, of the shape of a message, with a MAC that shows knowledge of
/// the key, or a genuine initiation with a flipped bit.
fn datagram(step: u8, cursor: &mut Cursor<'_>) -> Vec<u8> {
    let kind = (step >> 2 & 3) + 1;
    if step & 3 == 3 {
        return damaged(step, cursor);
    }
    let len = cursor.u16() % 512;
    let mut datagram = cursor.bytes(len.into()).to_vec();
    if step & 3 == 0 {
        return datagram;
    }
    let len = match kind {
        1 => INITIATION,
        2 => RESPONSE,
        3 => COOKIE,
        _ => datagram.len().max(DATA),
    };
    datagram.resize(len, 0);
    datagram[..4].copy_from_slice(&[kind, 0, 0, 0]);
    if step & 3 == 2 && kind <= 2 {
        sign(&mut datagram);
    }
    datagram
}

/// An initiation of a stranger or of the peer; the peer's has a flipped bit where it makes a difference.
fn damaged(step: u8, cursor: &mut Cursor<'_>) -> Vec<u8> {
    static GENUINE: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let of_peer = step & 4 != 0;
    let maker = if of_peer { 2 } else { 3 };
    let mut datagram = GENUINE[usize::from(of_peer)].get_or_init(|| initiation(maker)).clone();
    let flip = usize::from(cursor.u16());
    // Neither the sender's index nor the second MAC is part of the handshake.
    let (at, bit) = (flip >> 3, flip & 7);
    let at = if at % 116 < 4 { at % 116 } else { 8 + at % 108 };
    if of_peer || step & 8 != 0 {
        datagram[at] ^= 1 << bit;
    }
    if step & 16 != 0 {
        sign(&mut datagram);
    }
    datagram
}

/// A genuine initiation from host `n` to the victim.
fn initiation(n: u8) -> Vec<u8> {
    let mut out = Outbox::default();
    let mut engine = engine(n, Role::Plain, HandshakeBudget::default(), start());
    let plan = PeerPlan { keepalive: Some(Duration::from_secs(1)), ..plan(1, &[]) };
    engine.handle_update(Update::SetPeer(public(1), plan), start(), &mut out);
    out.sent.pop().expect("an initiation").1
}

/// The first MAC of a handshake message to the victim (section 5.4.4).
fn first_mac(body: &[u8]) -> [u8; 16] {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let hash = blake2::Blake2s256::new().chain_update(b"mac1----");
        blake2::Digest::finalize(hash.chain_update(public(1).0)).into()
    });
    type Mac = blake2::Blake2sMac<blake2::digest::consts::U16>;
    let mac = <Mac as blake2::digest::KeyInit>::new_from_slice(key).expect("a key's length");
    mac.chain(body).finalize_fixed().into()
}

fn sign(message: &mut [u8]) {
    let end = message.len() - 32;
    let mac = first_mac(&message[..end]);
    message[end..end + 16].copy_from_slice(&mac);
}

/// Hands the datagram over and looks what came of it.
fn judge(
    engine: &mut Engine,
    untouched: &[PeerStats],
    from: SocketAddr,
    datagram: Vec<u8>,
    now: Instant,
) {
    let before = engine.drops().clone();
    let mut out = Outbox::default();
    let mut opened = datagram.clone();
    let inner = engine.handle_datagram(Endpoint::from(from), &mut opened, now, &mut out);
    assert_eq!(inner, None, "delivered");
    assert!(out.control.is_empty(), "delivered");
    assert!(engine.poll_event().is_none());
    assert_eq!(engine.poll_timeout(), None, "something is kept for a stranger");
    assert!(engine.peers().eq(untouched.iter().cloned()), "a stranger changed a peer");
    let mut counted = engine.drops().iter().zip(before.iter()).filter(|(now, then)| now != then);
    let Some(((reason, _), _)) = counted.next() else { panic!("not counted") };
    assert!(counted.next().is_none() && engine.drops().total() == before.total() + 1);
    assert_eq!(steer(&datagram) == Steer::WireGuard, matches!(datagram[..], [1..=4, 0, 0, 0, ..]));
    assert!(expected(&datagram).contains(&reason), "{reason:?}");
    if reason == Drop::CookieRequired {
        let [(to, cookie)] = &out.sent[..] else { panic!("{} answers", out.sent.len()) };
        assert_eq!(to.remote, from);
        assert!(cookie.len() == COOKIE && cookie.len() <= datagram.len());
        assert_eq!(cookie[..4], [3, 0, 0, 0]);
        assert_eq!(cookie[4..8], datagram[4..8], "it goes to whoever asked");
    } else {
        assert!(out.sent.is_empty(), "{reason:?} is answered");
    }
}

/// What may be said of a stranger's datagram.
fn expected(datagram: &[u8]) -> &'static [Drop] {
    match (datagram.first_chunk::<4>(), datagram.len()) {
        (Some([1, 0, 0, 0]), INITIATION) => {
            if first_mac(&datagram[..INITIATION - 32])[..]
                != datagram[INITIATION - 32..INITIATION - 16]
            {
                return &[Drop::BadMac];
            }
            &[
                Drop::CookieRequired,
                Drop::HandshakeBudget,
                Drop::HandshakeInvalid,
                Drop::LowOrderKey,
                Drop::UnknownPeer,
            ]
        }
        (Some([2, 0, 0, 0]), RESPONSE) | (Some([3, 0, 0, 0]), COOKIE) => &[Drop::UnknownIndex],
        (Some([4, 0, 0, 0]), DATA..) => &[Drop::UnknownIndex],
        _ => &[Drop::DatagramMalformed],
    }
}
