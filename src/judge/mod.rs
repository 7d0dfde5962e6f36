//! Judgements: pure, from what was seen to a verdict and its words. No clock, no file, no question to anybody.

pub mod dns;
