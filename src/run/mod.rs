//! Runs: the engine thread, the training loop, checkpoints and the event log.
