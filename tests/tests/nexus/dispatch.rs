//! Dispatch on a real queue and a paused clock: retries, breakers, budgets, isolation, effects.
//!
//! The plugins are scripted: they stand for dispatch's own port, not for a remote system. In
//! `on_the_clock` everything is real.

mod breaker_model;
mod breakers;
mod effects;
mod isolation;
mod measures;
mod on_the_clock;
mod overload;
mod retries;
mod scripted;
