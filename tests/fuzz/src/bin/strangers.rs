//! `cargo fuzz run strangers`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::strangers::run(input));
