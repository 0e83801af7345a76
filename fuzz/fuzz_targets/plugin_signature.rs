#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_host::fuzz::plugin_signature(bytes));
