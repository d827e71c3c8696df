//! The signatures of RFC 9421 appendix B by the algorithms that are taken here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::base::base;
use crate::signature::PublicKeys;

/// RFC 9421 appendix B.2.6 and B.2.4, with the keys of B.1.4 and B.1.3: the base is built of the example's components.
#[test]
fn the_signatures_of_the_rfc_are_good() {
    let keys = PublicKeys::parse(
        br#"{"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "test-key-ed25519",
             "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"},
            {"kty": "EC", "crv": "P-256", "kid": "test-key-ecc-p256",
             "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
             "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"}]}"#,
    )
    .unwrap();
    let ed25519 = base(
        [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("@method", "POST"),
            ("@path", "/foo"),
            ("@authority", "example.com"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ],
        r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
    );
    let p256 = base(
        [
            ("@status", "200"),
            ("content-type", "application/json"),
            (
                "content-digest",
                "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
            ),
            ("content-length", "23"),
        ],
        r#"("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256""#,
    );
    for (kid, base, signature) in [
        (
            "test-key-ed25519",
            ed25519,
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        ),
        (
            "test-key-ecc-p256",
            p256,
            "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
        ),
    ] {
        let signature = URL_SAFE_NO_PAD.encode(STANDARD.decode(signature).unwrap());
        let key = keys.of(kid).next().unwrap();
        assert!(key.is_good(&signature, base.as_bytes()), "{kid}\n{base}");
        assert!(!key.is_good(&signature, format!("{base} ").as_bytes()), "{kid}");
    }
}
