//! `cargo fuzz run messages`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::messages::run(input));
