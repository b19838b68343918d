//! `cargo fuzz run udp`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::udp::run(input));
