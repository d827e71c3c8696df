//! One fuzz target; the name of the binary says which.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| a2ad_fuzz::bodies::run(env!("CARGO_BIN_NAME"), input));
