#![no_main]

libfuzzer_sys::fuzz_target!(init: voicetune_fuzz::begin(), |data: &[u8]| voicetune_fuzz::entries::verdicts(data));
