//! A receiver of webhooks: verifies, de-duplicates and yields typed events.
//!
//! [`ReceiverBuilder`] makes two things: an [`axum::Router`] to mount where the webhook is (with `nest`, or as the whole
//! application), and the stream of [`Notification`]s. Nothing is answered well before its [`Notification::accept`]: what
//! is dropped, or waits for too long, is answered with 503, and the sender comes again.
//!
//! ```no_run
//! use a2ad::client::receiver::{ReceiverBuilder, SenderKeys, Target};
//! use futures_util::StreamExt as _;
//! # async fn run(keys: a2ad::signature::PublicKeys) -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::url("https://me.example.com/hooks/a2a")?;
//! let (router, mut notifications) = ReceiverBuilder::new(target).keys(SenderKeys::Fixed(keys)).build()?;
//! let app = axum::Router::new().nest("/hooks/a2a", router);
//! # let _ = app;
//! while let Some(mut notification) = notifications.next().await {
//!     if notification.accept().await? {
//!         println!("{:?}", notification.event);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A request is turned away with 401 (signature, token or credential; it does not say which), 400 (its body is no event),
//! 405, 408, 413, 415, or 503 with `Retry-After` when there is no room or no key to be had. A delivery that was accepted
//! before is answered with 200 and yields nothing.

mod answer;
mod builder;
mod credential;
mod deliveries;
mod desk;
mod keys;
mod notification;
mod settings;
mod target;

pub use builder::{BuildError, ReceiverBuilder};
pub use credential::ExpectedCredential;
pub use deliveries::{DeliveryStore, MemoryDeliveries, StoreError};
pub use keys::SenderKeys;
pub use notification::{Notification, Notifications};
pub use settings::ReceiverSettings;
pub use target::{Target, TargetError};
