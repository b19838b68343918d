//! `cargo fuzz run uapi`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::uapi::run(input));
