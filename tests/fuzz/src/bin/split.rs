//! `cargo fuzz run split`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::split::run(input));
