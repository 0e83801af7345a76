//! The plugin in a real hub against a double of Microsoft Graph: notifications, subscriptions, what was missed, mail
//! that comes along sealed, and what may go wrong with each.

mod conforms;
mod front;
mod hub;
mod life;
mod missed;
mod notified;
mod sealed;
