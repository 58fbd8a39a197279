//! What changed between a draft and a revision, sentence by sentence.
