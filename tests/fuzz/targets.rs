//! All targets in one program, which is linked once: the variable `TARGET` of the environment says which one it is.

#![no_main]

use std::env;
use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static NAME: OnceLock<String> = OnceLock::new();
    let name = NAME.get_or_init(|| env::var("TARGET").expect("TARGET names a target"));
    vidgate::fuzz::call(name, data);
});
