//! Dispatch on a real queue and a paused clock: retries, breakers, isolation, effects.
//!
//! The plugins are scripted: they stand for dispatch's own port, not for a remote system.

mod breaker_model;
mod breakers;
mod effects;
mod isolation;
mod retries;
mod scripted;
