//! Hang-ups in a pseudo-terminal while a run trains: a few, and with `--ignored` a hundred.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "run_support/hang_up.rs"]
mod hang_up;
#[path = "ui_support/pty.rs"]
mod pty;
mod run_support;

use std::time::Instant;

#[test]
fn a_run_ends_as_if_nobody_had_hung_up() {
    let figures = hang_up::hang_up(3);
    assert_eq!(figures.hang_ups, 3);
    assert!(figures.while_training > 0, "the runs were over before the terminal was taken away: {figures:?}");
}

/// `cargo test --test run_hang_up -- --ignored --nocapture` prints figures.
#[test]
#[ignore = "a measurement"]
fn a_hundred_hang_ups() {
    let begun = Instant::now();
    let figures = hang_up::hang_up(100);
    println!("{figures:#?}\nin {:?}; every run as without a hang-up, no process left behind", begun.elapsed());
}
