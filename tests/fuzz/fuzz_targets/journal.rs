#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| patchlane_tests::fuzz::journal::run(data));
