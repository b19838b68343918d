//! `cargo fuzz run inner`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::inner::run(input));
