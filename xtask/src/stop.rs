//! Ctrl-C and its kin: receives signals, hands on that somebody wants this to end.
//!
//! It ends nothing by itself: whoever waits, waits here, and then lets go of what it started.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result, Tried as _};

/// Between two looks at a condition that cannot wake anybody.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Whether, and how often, somebody asked to end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<u32>, Condvar)>);

impl Stop {
    /// Listens for Ctrl-C, and on Unix for SIGTERM and SIGHUP, from now on. Once per process.
    pub(crate) fn listen() -> Result<Self> {
        let stop = Self::default();
        let told = stop.clone();
        ctrlc::set_handler(move || told.ask()).tried("listen for Ctrl-C")?;
        Ok(stop)
    }

    fn ask(&self) {
        let (asked, changed) = &*self.0;
        *asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        changed.notify_all();
    }

    /// How often it was asked for.
    pub(crate) fn asked(&self) -> u32 {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not beyond the moment somebody asks to end; says whether somebody has.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let (asked, changed) = &*self.0;
        let guard = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = changed
            .wait_timeout_while(guard, time, |asked| *asked == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *guard > 0
    }

    /// Looks again and again until `look` finds something.
    ///
    /// # Errors
    ///
    /// `look` fails, `within` is over (naming `what` and what `look` saw last), or somebody asks to
    /// end.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut look: impl FnMut() -> Result<Seen<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            let seen = match look()? {
                Seen::There(found) => return Ok(found),
                Seen::NotYet(seen) => seen,
            };
            if Instant::now() >= deadline {
                let within = within.as_secs();
                return Err(Failure::new(format!(
                    "{what} did not come about within {within} s: {seen}"
                )));
            }
            if self.pause(LOOK_EVERY) {
                return Err(Failure::new(format!("stopped while waiting for {what}")));
            }
        }
    }
}

/// One look at a condition.
#[derive(Debug)]
pub(crate) enum Seen<T> {
    /// It holds.
    There(T),
    /// It does not; this is how things are instead.
    NotYet(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_what_was_found_or_with_what_was_seen_last() {
        let stop = Stop::default();
        let mut looks = 0;
        let found = stop.until("a third look", Duration::from_secs(5), || {
            looks += 1;
            Ok(if looks == 3 {
                Seen::There(looks)
            } else {
                Seen::NotYet(format!("look {looks}"))
            })
        });
        assert_eq!(found, Ok(3));
        let never = stop.until("a miracle", Duration::ZERO, || {
            Ok(Seen::<()>::NotYet("nothing".to_owned()))
        });
        let message = never.unwrap_err().to_string();
        assert!(message.contains("a miracle") && message.ends_with("nothing"));
    }

    #[test]
    fn whoever_waits_is_told_to_stop_at_once() {
        let stop = Stop::default();
        stop.ask();
        let begun = Instant::now();
        assert!(stop.pause(Duration::from_secs(60)));
        let waited = stop.until("a miracle", Duration::from_secs(60), || {
            Ok(Seen::<()>::NotYet(String::new()))
        });
        assert!(waited.is_err());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
