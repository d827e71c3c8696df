//! The keys, their public names, and what is derived from them.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::{constant_time, digest, hmac};

use super::Error;

/// Bytes of a key, of what is derived from it, and of a MAC.
pub(super) const KEY_BYTES: usize = 32;

/// Bytes of a key's public name.
pub(super) const ID_BYTES: usize = 8;

/// Names and derived keys of another version differ in everything.
const ID_LABEL: &[u8] = b"a2ad key id 1";
const SALT: &[u8] = b"a2ad secrets 1";

/// The public name of a key, by which what it sealed says which key that was. Shown in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; ID_BYTES]);

impl KeyId {
    fn of(key: &[u8; KEY_BYTES]) -> Self {
        let digest = digest::digest(&digest::SHA256, &[ID_LABEL, key].concat());
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&digest.as_ref()[..ID_BYTES]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// A key in the form from which others are derived; its own bytes are not kept.
struct Key {
    id: KeyId,
    root: Prk,
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            id: KeyId::of(bytes),
            root: Salt::new(HKDF_SHA256, SALT).extract(bytes),
        }
    }
}

/// One key that seals, and former ones that open what they have sealed.
pub struct Keyring {
    current: Key,
    previous: Vec<Key>,
}

impl Keyring {
    /// A ring of keys of 32 random bytes.
    pub fn new(current: &[u8; KEY_BYTES], previous: &[[u8; KEY_BYTES]]) -> Self {
        Self {
            current: Key::new(current),
            previous: previous.iter().map(Key::new).collect(),
        }
    }

    /// The name of the key that seals.
    pub fn current(&self) -> KeyId {
        self.current.id
    }

    /// The names of all keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|key| key.id)
    }

    /// A tag over bytes for one purpose (HMAC-SHA256), and the name of the key that made it.
    ///
    /// # Errors
    /// [`Error::Random`] when the cryptographic library fails.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> Result<(KeyId, [u8; KEY_BYTES]), Error> {
        Ok((self.current(), self.mac_with(self.current(), purpose, bytes)?))
    }

    /// The same by one key of the ring.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when it is not in the ring.
    pub fn mac_with(&self, id: KeyId, purpose: &str, bytes: &[u8]) -> Result<[u8; KEY_BYTES], Error> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive(id, purpose)?);
        let mut tag = [0; KEY_BYTES];
        tag.copy_from_slice(hmac::sign(&key, bytes).as_ref());
        Ok(tag)
    }

    /// Whether a tag is that of these bytes for this purpose; takes the same time for every tag of its length.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when the key that made it is not in the ring.
    pub fn verify_mac(&self, id: KeyId, purpose: &str, bytes: &[u8], tag: &[u8]) -> Result<bool, Error> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.derive(id, purpose)?);
        let expected = hmac::sign(&key, bytes);
        Ok(constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok())
    }

    /// The key of a purpose, made from one of the ring.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] when it is not in the ring.
    pub fn derive(&self, id: KeyId, purpose: &str) -> Result<[u8; KEY_BYTES], Error> {
        let key = std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|key| key.id == id)
            .ok_or(Error::UnknownKey(id))?;
        let mut derived = [0; KEY_BYTES];
        key.root
            .expand(&[purpose.as_bytes()], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .map_err(|_| Error::Random)?;
        Ok(derived)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.ids().map(|id| id.to_string()).collect();
        out.debug_tuple("Keyring").field(&ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_by_its_name_only() {
        let ring = Keyring::new(&[0xab; 32], &[[0xcd; 32]]);
        let shown = format!("{ring:?}");
        assert!(shown.contains(&ring.current().to_string()), "{shown}");
        assert!(
            !shown.contains("abab") && !shown.contains("171, 171") && !shown.contains("cdcd"),
            "{shown}"
        );
        assert_eq!(ring.ids().count(), 2);
        assert_ne!(ring.current(), Keyring::new(&[0xac; 32], &[]).current());
    }

    /// Names and derived keys stand in databases: they must not change from version to version. The values are those of
    /// Python's hashlib and hmac.
    #[test]
    fn names_and_derived_keys_stay_what_they_are() {
        let ring = Keyring::new(&[7; 32], &[]);
        assert_eq!(ring.current().to_string(), "21f2c91d57b63b01");
        let derived = ring.derive(ring.current(), "test").unwrap();
        let hex: String = derived.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "1e3fead020748e1bfc403f546ffc0bb679709837e94ed97c1d6382a16a9cfea6"
        );
    }

    #[test]
    fn a_tag_holds_for_its_key_purpose_and_bytes() {
        let (old, new) = ([1; 32], [2; 32]);
        let before = Keyring::new(&old, &[]);
        let (id, tag) = before.mac("api key", b"bytes").unwrap();
        let after = Keyring::new(&new, &[old]);
        assert_eq!(after.verify_mac(id, "api key", b"bytes", &tag), Ok(true));
        assert_eq!(after.verify_mac(id, "other", b"bytes", &tag), Ok(false));
        assert_eq!(after.verify_mac(id, "api key", b"Bytes", &tag), Ok(false));
        assert_eq!(after.verify_mac(id, "api key", b"bytes", &tag[..31]), Ok(false));
        assert_eq!(
            after.verify_mac(after.current(), "api key", b"bytes", &tag),
            Ok(false)
        );
        let without = Keyring::new(&new, &[]);
        assert_eq!(
            without.verify_mac(id, "api key", b"bytes", &tag),
            Err(Error::UnknownKey(id))
        );
    }
}
