//! Which socket of the port gets a datagram: a program in classic BPF that the kernel runs for each.
//!
//! ```text
//! socket   0        1           2        3           4 ...      numbered in the order they came to the port
//! thread   0: bulk  0: urgent   1: bulk  1: urgent   2: bulk
//! ```
//!
//! The mark in the IP header chooses the lane. The thread is the slice that the receiver index names
//! ([`Slice::named_by`](mesh_dataplane::Slice::named_by)), and the first for what names none: initiations,
//! and all that is not WireGuard's. It is a matter of time only: what a thread gets for another it hands
//! on.

use std::io;
use std::net::UdpSocket;

use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::AttachReusePortCbpf;

use super::control::MARK;

/// Lets the kernel choose between the sockets of the port: a pair of lanes for each of `of` threads.
pub(super) fn attach(socket: &UdpSocket, of: usize) -> io::Result<()> {
    let mut program = program(of as u32);
    let len = program.len() as u16;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    Ok(setsockopt(socket, AttachReusePortCbpf, &program)?)
}

fn program(of: u32) -> Vec<libc::sock_filter> {
    if of == 1 {
        let ends =
            [statement(libc::BPF_RET | libc::BPF_K, 0), statement(libc::BPF_RET | libc::BPF_K, 1)];
        [&lane(1)[..], &ends].concat()
    } else {
        [&lane(2)[..], &thread(of)].concat()
    }
}

/// Looks at the mark, and goes on behind itself when there is none, `marked` statements further when
/// there is.
fn lane(marked: u8) -> [libc::sock_filter; 10] {
    // The first two bytes: in IPv4 version, header length and mark; in IPv6 version, mark and the
    // start of the flow label. The lowest two bits of the mark are congestion's.
    let (v4, v6) = (u32::from(MARK), u32::from(MARK) << 4);
    let network = libc::SKF_NET_OFF as u32;
    [
        statement(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, network),
        statement(libc::BPF_MISC | libc::BPF_TAX, 0),
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 12),
        jump_if_equal(6, 3, 0),
        statement(libc::BPF_MISC | libc::BPF_TXA, 0),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xfc),
        jump_if_equal(v4, 3 + marked, 3),
        statement(libc::BPF_MISC | libc::BPF_TXA, 0),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xfc0),
        jump_if_equal(v6, marked, 0),
    ]
}

/// Begins with one statement and a jump for "no mark" and one for "mark", and ends with the socket.
fn thread(of: u32) -> [libc::sock_filter; 21] {
    const LANE: u32 = 0;
    let byte = |at| statement(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, at);
    let number = |n| statement(libc::BPF_LD | libc::BPF_IMM, n);
    let skip = |count| statement(libc::BPF_JMP | libc::BPF_JA, count);
    [
        number(0),
        skip(1),
        number(1),
        statement(libc::BPF_ST, LANE),
        // A load behind the end would choose socket 0, whatever the lane.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        jump_if(libc::BPF_JGE, 12, 0, 8),
        byte(0),
        jump_if_equal(2, 4, 0),
        jump_if_equal(3, 1, 0),
        jump_if_equal(4, 0, 4),
        // Cookie and data: the lowest byte of the receiver's index.
        byte(4),
        skip(4),
        // Response: the same.
        byte(8),
        skip(2),
        // Names nobody.
        number(0),
        skip(2),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, of),
        statement(libc::BPF_ALU | libc::BPF_LSH | libc::BPF_K, 1),
        statement(libc::BPF_LDX | libc::BPF_MEM, LANE),
        statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0),
        statement(libc::BPF_RET | libc::BPF_A, 0),
    ]
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Skips `yes` or `no` statements.
fn jump_if(condition: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | condition | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: yes, jf: no, k }
}

fn jump_if_equal(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    jump_if(libc::BPF_JEQ, k, yes, no)
}
