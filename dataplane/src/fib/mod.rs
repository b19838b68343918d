//! The forwarding table: which peer holds which addresses. One table answers both questions: whom a
//! packet goes to, and whose packet a source address makes it.

mod ranges;
mod source;
mod table;

pub(crate) use table::Fib;
