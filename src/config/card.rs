//! `[card]`: how agent cards are served.

use super::schema::{choice, section};

choice! {
    /// Which extensions of this runtime a card names.
    pub enum CardCapabilities {
        /// All that the runtime offers, none of them required.
        Full = "full",
        /// None: for clients that stumble over extensions.
        None = "none",
        /// All, and the idempotency key is required of clients.
        RequiredExtension = "required-extension",
    }
}

section! {
    /// Agent cards over HTTP.
    pub struct Card {
        /// Seconds for which a client may keep a card before it asks again (Cache-Control).
        max_age_s: u32 = 300, 0..=31_536_000;
        /// Extensions on the card: "full", "none", or "required-extension" when clients must declare them.
        capabilities: CardCapabilities = CardCapabilities::Full;
    }
}
