//! `diff`, `extract` and `inspect`.
