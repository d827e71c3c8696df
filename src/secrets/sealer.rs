//! Sealing for one purpose.
//!
//! What is sealed looks like this: a version byte, the name of the key (8 bytes), a nonce (12 bytes), then the
//! ciphertext with its tag (AES-256-GCM, NIST SP 800-38D). All but the ciphertext, and the place that it belongs to, is
//! authenticated too.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use super::keyring::ID_BYTES;
use super::{Error, KeyId, Keyring};

/// The first byte of everything that is sealed this way.
const VERSION: u8 = 1;

/// Version and key.
const HEAD_BYTES: usize = 1 + ID_BYTES;

/// Seals with the current key of a ring, and opens with any of them.
pub struct Sealer {
    /// The current one first; there is at least that.
    keys: Vec<(KeyId, RandomizedNonceKey)>,
}

impl Sealer {
    /// For one purpose: a short fixed text.
    ///
    /// # Errors
    /// [`Error::Random`] when the cryptographic library fails.
    pub fn new(keyring: &Keyring, purpose: &str) -> Result<Self, Error> {
        let derive = |id: KeyId| {
            let derived = keyring.derive(id, purpose)?;
            let key = RandomizedNonceKey::new(&AES_256_GCM, &derived).map_err(|_| Error::Random)?;
            Ok((id, key))
        };
        let keys = keyring.ids().map(derive).collect::<Result<_, Error>>()?;
        Ok(Self { keys })
    }

    /// Seals bytes. They open only together with the same `place`; see [`associated`].
    ///
    /// # Errors
    /// [`Error::Random`] when there is no nonce to be had.
    pub fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Error> {
        let (id, key) = self.keys.first().ok_or(Error::NoKey)?;
        let mut head = vec![VERSION];
        head.extend_from_slice(&id.0);
        let mut sealed = plain.to_vec();
        let aad = Aad::from([&head, place].concat());
        let nonce = key
            .seal_in_place_append_tag(aad, &mut sealed)
            .map_err(|_| Error::Random)?;
        Ok([&head, &nonce.as_ref()[..], &sealed].concat())
    }

    /// What was sealed for this place.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when its key is not in the ring, [`Error::Damaged`] when it is not what was sealed.
    pub fn open(&self, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Error> {
        let id = Self::key_of(sealed).ok_or(Error::Damaged)?;
        let (_, key) = self
            .keys
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or(Error::UnknownKey(id))?;
        let (head, rest) = sealed.split_at_checked(HEAD_BYTES).ok_or(Error::Damaged)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or(Error::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Damaged)?;
        let mut plain = rest.to_vec();
        let aad = Aad::from([head, place].concat());
        let length = key
            .open_in_place(nonce, aad, &mut plain)
            .map_err(|_| Error::Damaged)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// True for what the current key has sealed: nothing is gained by sealing it anew.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.keys.first().map(|(id, _)| *id) == Self::key_of(sealed)
    }

    /// The key that sealed something; `None` if it is not of this form.
    pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
        let (version, rest) = sealed.split_first()?;
        let id = rest.first_chunk::<ID_BYTES>()?;
        (*version == VERSION).then_some(KeyId(*id))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.keys.iter().map(|(id, _)| id.to_string()).collect();
        out.debug_tuple("Sealer").field(&ids).finish()
    }
}

/// A place out of its parts, none of which runs into the next.
pub fn associated(parts: &[&str]) -> Vec<u8> {
    let mut place = Vec::new();
    for part in parts {
        place.extend_from_slice(&(part.len() as u64).to_be_bytes());
        place.extend_from_slice(part.as_bytes());
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(current: u8, previous: &[u8], purpose: &str) -> Sealer {
        let previous: Vec<[u8; 32]> = previous.iter().map(|byte| [*byte; 32]).collect();
        Sealer::new(&Keyring::new(&[current; 32], &previous), purpose).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_for_its_purpose_only() {
        let (here, there) = (
            associated(&["table", "ab", "c"]),
            associated(&["table", "a", "bc"]),
        );
        assert_ne!(here, there);
        let sealer = sealer(1, &[], "push");
        for plain in [&b""[..], b"secret", &[0; 10_000]] {
            let sealed = sealer.seal(plain, &here).unwrap();
            assert_eq!(sealed.len(), 1 + 8 + 12 + plain.len() + 16);
            assert_eq!(sealer.open(&sealed, &here).as_deref(), Ok(plain));
            assert_eq!(sealer.open(&sealed, &there), Err(Error::Damaged));
            assert_ne!(
                sealer.seal(plain, &here).unwrap(),
                sealed,
                "a nonce was used twice"
            );
        }
        let sealed = sealer.seal(b"secret", &here).unwrap();
        let other = self::sealer(1, &[], "other");
        assert_eq!(other.open(&sealed, &here), Err(Error::Damaged));
    }

    #[test]
    fn former_keys_open_and_do_not_seal() {
        let place = associated(&["place"]);
        let old = sealer(1, &[], "push").seal(b"secret", &place).unwrap();
        let both = sealer(2, &[3, 1], "push");
        assert_eq!(both.open(&old, &place).as_deref(), Ok(&b"secret"[..]));
        assert!(!both.is_current(&old));
        let new = both.seal(b"secret", &place).unwrap();
        assert!(both.is_current(&new));
        let only_new = sealer(2, &[], "push");
        assert_eq!(only_new.open(&new, &place).as_deref(), Ok(&b"secret"[..]));
        let id = Keyring::new(&[1; 32], &[]).current();
        assert_eq!(only_new.open(&old, &place), Err(Error::UnknownKey(id)));
        let text = Error::UnknownKey(id).to_string();
        assert!(
            text.contains(&id.to_string()) && text.contains("secrets.previous_keys"),
            "{text}"
        );
    }

    /// Every bit counts, and every length.
    #[test]
    fn what_was_changed_does_not_open() {
        let sealer = sealer(1, &[], "push");
        let sealed = sealer.seal(b"secret", b"").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&changed, b"").is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(&sealed[..length], b"").is_err(), "{length} bytes");
        }
    }
}
