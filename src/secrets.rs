//! Stub, replaced by the merge.
/// Stub.
#[derive(Debug, Default)]
pub struct Keyring;
impl Keyring {
    /// Stub.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> (String, [u8; 32]) {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, purpose.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(aws_lc_rs::hmac::sign(&key, bytes).as_ref());
        ("stub".into(), out)
    }
    /// Stub.
    pub fn verify_mac(&self, _key: &str, purpose: &str, bytes: &[u8], tag: &[u8]) -> bool {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, purpose.as_bytes());
        aws_lc_rs::hmac::verify(&key, bytes, tag).is_ok()
    }
}
