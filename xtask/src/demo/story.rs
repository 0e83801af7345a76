//! What the demonstration tells: an office morning, as Parrot would capture it.
//!
//! Plain data: which notifications are sent, and what should become of each.

use serde_json::{Value, json};

/// A notification, and what should become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) app: &'static str,
    pub(crate) priority: &'static str,
    pub(crate) title: &'static str,
    body: &'static str,
    url: Option<&'static str>,
}

/// In the order they are sent.
pub(crate) const MORNING: [Notification; 7] = [
    Notification {
        app: "Calendar",
        priority: "high",
        title: "Stand-up in 5 minutes",
        body: "Room Faraday, or join from here",
        url: Some("https://calendar.example.org/meet/stand-up"),
    },
    Notification {
        app: "Newsletter",
        priority: "low",
        title: "Ten editors compared",
        body: "And you will not believe number seven",
        url: None,
    },
    Notification {
        app: "Chat",
        priority: "normal",
        title: "Ada Lovelace",
        body: "Lunch at noon?",
        url: None,
    },
    Notification {
        app: "Monitoring",
        priority: "critical",
        title: "Disk almost full on build-3",
        body: "97 % of /var is used; at this rate it is full in 40 minutes",
        url: Some("https://monitoring.example.org/hosts/build-3"),
    },
    Notification {
        app: "Mail",
        priority: "normal",
        title: "Your parcel is on its way",
        body: "Delivery tomorrow between 10 and 12",
        url: None,
    },
    Notification {
        app: "Bank",
        priority: "high",
        title: "Payment of 1,250.00 EUR needs your approval",
        body: "To: Analytical Engines Ltd.",
        url: Some("https://bank.example.org/approve"),
    },
    Notification {
        app: "Weather",
        priority: "low",
        title: "Rain from 4 pm",
        body: "Take an umbrella",
        url: None,
    },
];

impl Notification {
    /// Whether it should become a toast.
    pub(crate) fn is_urgent(&self) -> bool {
        matches!(self.priority, "high" | "critical")
    }

    /// The event, as Parrot sends it.
    pub(crate) fn event(&self, notification_id: &str) -> Value {
        let mut payload = json!({
            "notification_id": notification_id,
            "app": self.app,
            "title": self.title,
            "body": self.body,
        });
        if let Some(url) = self.url {
            payload["url"] = Value::from(url);
        }
        json!({
            "type": "parrot.notification.captured",
            "source": "parrot",
            "priority": self.priority,
            "payload": payload,
        })
    }
}

/// An event that breaks its contract: it has no title, and a field nobody knows.
pub(crate) fn malformed() -> Value {
    json!({
        "type": "parrot.notification.captured",
        "source": "parrot",
        "payload": {"notification_id": "1", "app": "Chat", "colour": "red"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_shows_every_priority_and_no_title_twice() {
        for priority in ["low", "normal", "high", "critical"] {
            assert!(MORNING.iter().any(|told| told.priority == priority));
        }
        let mut titles: Vec<&str> = MORNING.iter().map(|told| told.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), MORNING.len());
    }
}
