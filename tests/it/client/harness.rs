//! A client of the library on one binding, without layers.

use std::net::SocketAddr;

use a2ad::client::transport::{Transport, transport};
use a2ad::client::{Client, ClientSettings, Connections, Target};
use a2ad::context::Binding;
use a2ad::egress::EgressPolicy;

pub const BINDINGS: [Binding; 3] = [Binding::Grpc, Binding::JsonRpc, Binding::HttpJson];

/// Makes one test per binding of each `async fn test(binding: Binding)`.
macro_rules! on_each_binding {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use a2ad::context::Binding;

            #[tokio::test]
            async fn grpc() {
                Box::pin(super::$test(Binding::Grpc)).await;
            }

            #[tokio::test]
            async fn json_rpc() {
                Box::pin(super::$test(Binding::JsonRpc)).await;
            }

            #[tokio::test]
            async fn http_json() {
                Box::pin(super::$test(Binding::HttpJson)).await;
            }
        }
    )*};
}
pub(crate) use on_each_binding;

/// The agent behind `url` on this binding.
pub async fn client_of(url: &str, binding: Binding, tenant: &str, settings: &ClientSettings) -> Client {
    let connections = Connections::open(settings, None, EgressPolicy::unrestricted())
        .await
        .unwrap();
    let target = Target {
        binding,
        url: url.parse().unwrap(),
        tenant: tenant.to_owned(),
        version: "1.0".to_owned(),
        card: None,
    };
    let transport = transport(&target, &connections, settings);
    Client::new(target, transport)
}

/// The binding of the same target in another version.
pub async fn transport_of(target: &Target, version: &str) -> Transport {
    let settings = ClientSettings::default();
    let connections = Connections::open(&settings, None, EgressPolicy::unrestricted())
        .await
        .unwrap();
    let target = Target {
        version: version.to_owned(),
        ..target.clone()
    };
    transport(&target, &connections, &settings)
}

/// An agent of a server of ours.
pub async fn client(address: SocketAddr, binding: Binding, tenant: &str) -> Client {
    let url = format!("http://{address}");
    client_of(&url, binding, tenant, &ClientSettings::default()).await
}
