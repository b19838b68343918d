//! `cargo fuzz run member`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::member::run(input));
