//! The reference Toasty server: shows toasts on a desktop or in a terminal, over gRPC.
//!
//! Receives calls of `toasty.v1` (the contract is in the crate `nexus-proto`), hands toasts to a
//! [`Display`], and hands what people do with them to whoever watches. It is a library so that a
//! test, a benchmark or another program can run it inside itself; the binary is a thin shell over
//! it. It never keeps a toast across a restart, never opens a link, and never fetches a picture.
//!
//! One way through: [`Server`] accepts, `service` turns a call into one on the `desk`, which checks
//! it (`limits`), keeps the toast (`store`), shows it (`display`), and appends what happened to the
//! `watch_log` and the `journal`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use toasty_server::{DisplayKind, Options, Server};
//!
//! let options = Options { display: DisplayKind::None, ..Options::default() };
//! let running = Server::bind(options).await?.spawn();
//! assert!(running.endpoint().starts_with("http://127.0.0.1:"));
//! running.stop().await?;
//! # Ok(())
//! # }
//! ```

pub mod cli;
mod desk;
pub mod display;
mod journal;
mod limits;
mod server;
mod service;
mod store;
mod toast;
mod watch_log;

pub use display::{Display, DisplayKind};
pub use journal::JournalError;
pub use server::{Options, Running, ServeError, Server, StartError};
pub use toast::{Toast, ToastId};
