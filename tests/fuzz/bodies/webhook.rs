//! The addresses of webhooks.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use url::{Host, Url};

use super::requests::is_safe;
use super::world::{World, post};

/// A URL that is taken is public by rules that are written down here once more, and differently.
pub fn url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let body = serde_json::json!({ "url": text, "id": "1" }).to_string();
    let answer = World::with(|world| {
        let path = format!("/tasks/{}/pushNotificationConfigs", world.task_id);
        world.answer(post(&path, Bytes::from(body)))
    });
    is_safe(&answer);
    if !answer.status.is_success() {
        assert_eq!(answer.status.as_u16(), 400, "{answer:?}");
        return;
    }
    let url = Url::parse(text).expect("what is taken is a URL");
    let host = text
        .get("https://".len()..)
        .expect("a scheme, slashes and a host");
    assert!(
        text.to_ascii_lowercase().starts_with("https://") && !host.starts_with('/'),
        "{text:?}"
    );
    assert!(url.username().is_empty() && url.password().is_none(), "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    match url.host().expect("a host") {
        Host::Domain(name) => {
            let last = name.trim_end_matches('.').rsplit('.').next();
            assert!(
                !matches!(last, None | Some("localhost" | "internal" | "")),
                "{text:?}"
            );
        }
        Host::Ipv4(ip) => assert!(!is_private_v4(ip), "{text:?}"),
        Host::Ipv6(ip) => assert!(!is_private_v6(ip), "{text:?}"),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let first = segments[0];
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || ip.to_ipv4_mapped().is_some_and(is_private_v4)
        || (first == 0x64 && segments[1] == 0xff9b)
        || (first == 0x2001 && segments[1] < 0x200)
        || (first == 0x2001 && segments[1] == 0xdb8)
        || first == 0x2002
        || (first & 0xffc0) == 0xfec0
}
