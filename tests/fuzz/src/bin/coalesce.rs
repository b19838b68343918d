//! `cargo fuzz run coalesce`
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mesh_fuzz::coalesce::run(input));
