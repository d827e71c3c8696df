//! Sockets: from a listener to requests, over TLS or in the clear, HTTP/2 or HTTP/1.1 on the same port.
//!
//! This room owns connections: accepting, handshakes, limits, ages and their end. It knows nothing of A2A; it gives
//! every request to one service, with the [`Peer`] that sent it in the request's extensions. Start at [`serve`].

mod accept;
mod breaches;
mod connection;
mod cork;
mod crowd;
mod descriptors;
mod door;
mod ending;
mod exposure;
mod frames;
mod handshakes;
mod observer;
mod pause;
mod peer;
mod protocol;
mod proxies;
mod requests;
mod response;
mod settings;
mod socket;
mod stall;

pub use accept::serve;
pub use exposure::{Error, check_exposure};
pub use observer::CertificateObserver;
pub use peer::Peer;
pub use proxies::TrustedProxies;
pub use settings::ServerSettings;
