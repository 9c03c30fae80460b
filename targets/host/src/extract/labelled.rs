//! Precision and recall on the hand-labelled files.
