#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hallway_tests::fuzzing::manifest(data));
