#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vidgate::fuzz::call("share_token", data));
