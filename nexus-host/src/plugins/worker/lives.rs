//! What becomes of a plugin's workers: is told of each one's beginning and end, and tells it to whoever asks.

use std::sync::Arc;

use tokio::sync::watch;

/// How many workers a plugin has, and how many it has lost.
#[derive(Debug)]
pub struct Lives(watch::Sender<Count>);

#[derive(Debug, Default)]
struct Count {
    alive: usize,
    deaths: u64,
    last_death: Option<Arc<str>>,
}

impl Default for Lives {
    fn default() -> Self {
        Self(watch::Sender::new(Count::default()))
    }
}

impl Lives {
    /// How many have died that were meant to go on.
    pub fn deaths(&self) -> u64 {
        self.0.borrow().deaths
    }

    /// How the last of those has died.
    pub fn last_death(&self) -> Option<Arc<str>> {
        self.0.borrow().last_death.clone()
    }

    /// Waits until more than `so_many` have died.
    pub async fn more_deaths_than(&self, so_many: u64) {
        let mut count = self.0.subscribe();
        // The sender is here, so it cannot be gone.
        let _ = count.wait_for(|count| count.deaths > so_many).await;
    }

    /// Waits until no worker is left.
    pub async fn ended(&self) {
        let mut count = self.0.subscribe();
        let _ = count.wait_for(|count| count.alive == 0).await;
    }

    /// One begins; it lives as long as what is handed on.
    pub(super) fn begin(self: &Arc<Self>) -> Life {
        self.0.send_modify(|count| count.alive += 1);
        Life(self.clone())
    }

    /// One has died that was meant to go on.
    pub(super) fn died(&self, how: &str) {
        self.0.send_modify(|count| {
            count.deaths += 1;
            count.last_death = Some(how.into());
        });
    }
}

/// As long as this is there, one more is alive.
pub(super) struct Life(Arc<Lives>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.alive -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_and_deaths_are_waited_for() {
        let lives = Arc::new(Lives::default());
        lives.ended().await;
        let (one, other) = (lives.begin(), lives.begin());
        let over = lives.clone();
        let over = tokio::spawn(async move { over.ended().await });
        lives.died("by itself");
        lives.more_deaths_than(0).await;
        assert_eq!(
            (lives.deaths(), lives.last_death().as_deref()),
            (1, Some("by itself"))
        );
        drop(one);
        tokio::task::yield_now().await;
        assert!(!over.is_finished());
        drop(other);
        over.await.unwrap();
    }
}
