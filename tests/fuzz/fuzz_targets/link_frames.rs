#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| patchlane_tests::fuzz::link_frames::run(data));
