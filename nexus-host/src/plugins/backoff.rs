//! How long to wait before something is tried again that has failed: twice as long after each failure, and up to a
//! quarter more, so that many do not come back at the same moment.

use std::time::Duration;

/// The delay after so many failures before this one, of `first` and doubled each time up to `longest`.
pub(super) fn delay(before: u32, first: Duration, longest: Duration) -> Duration {
    let delay = first.saturating_mul(1 << before.min(16)).min(longest);
    delay + delay.mul_f64(0.25 * rand::random::<f64>())
}
