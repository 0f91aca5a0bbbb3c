#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ocmt_crypto::fuzzing::imports(data));
