#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_host::fuzz::worker_frame(bytes));
