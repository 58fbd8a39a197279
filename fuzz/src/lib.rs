//! What the fuzz targets share. The entry points themselves are in `entries.rs`, which `tests/hostile_bytes.rs` of the program
//! includes as well: what is fuzzed and what the tests replay are one list.

pub mod entries;

/// libFuzzer's hook ends the process at any panic. The program turns panics of the tokenizers library into errors, so that only one
/// which leaves an entry point is a finding; libFuzzer's own wrapper ends the process for that.
pub fn begin() {
    std::panic::set_hook(Box::new(|_| {}));
}
