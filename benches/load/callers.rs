//! What a call costs the caller: this library's client beside the generated one on a bare tonic channel, in turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use a2ad::client::transport::transport;
use a2ad::client::{Client, ClientSettings, Connections, Target};
use a2ad::context::Binding;
use a2ad::egress::EgressPolicy;
use a2ad::pb::SendMessageResponse;
use a2ad::pb::client::A2aServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::client::Background;
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::Options;
use crate::server::{Server, Store};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, payload};

/// Calls in flight, each on a row of its own.
const IN_FLIGHT: [usize; 2] = [1, 16];

/// Who calls.
#[derive(Clone)]
enum Caller {
    Tonic(A2aServiceClient<Channel>),
    Ours(Client),
}

impl Caller {
    async fn call(&mut self) -> Outcome<SendMessageResponse> {
        let request = payload::request(payload::text());
        match self {
            Self::Tonic(client) => Ok(client.send_message(request).await?.into_inner()),
            Self::Ours(client) => Ok(client.send(request).await?),
        }
    }
}

pub async fn run(options: &Options) -> Outcome {
    let server = Server::a2ad(options, Store::Memory, "echo", &[])?;
    let callers = callers(server.address).await?;
    let mut table = Table::new(&[
        "unary SendMessage, 256 B",
        "in flight",
        "client CPU us/call",
        "x bare tonic client",
        "calls/s",
        "p50 us",
        "p99 us",
    ]);
    for in_flight in IN_FLIGHT {
        rows(options, &callers, in_flight, &mut table).await?;
    }
    table.print("client: client CPU and calls per second");
    Ok(())
}

/// All that are compared; the first is what the others are compared with.
async fn callers(address: SocketAddr) -> Outcome<Vec<(&'static str, Caller)>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let tonic = A2aServiceClient::new(endpoint.connect().await?);
    let mut callers = vec![("bare tonic client", Caller::Tonic(tonic))];
    callers.push(("a2ad's gRPC binding alone", Caller::Ours(binding(address).await?)));
    for (name, binding) in [
        ("a2ad client, gRPC", Binding::Grpc),
        ("a2ad client, JSON-RPC", Binding::JsonRpc),
        ("a2ad client, HTTP+JSON", Binding::HttpJson),
    ] {
        let client = Client::builder().prefer([binding]);
        let client = client.connect(format!("http://{address}").as_str()).await?;
        if client.target().binding != binding {
            return Err(format!("the card of the server leads {name} elsewhere").into());
        }
        callers.push((name, Caller::Ours(client)));
    }
    for (name, caller) in &mut callers {
        let answer = caller.call().await;
        payload::check(&answer.map_err(|error| format!("{name}: {error}"))?)?;
    }
    Ok(callers)
}

/// A client of a binding, without the layers that users have around it.
async fn binding(address: SocketAddr) -> Outcome<Client> {
    let settings = ClientSettings::default();
    let connections = Connections::open(&settings, None, EgressPolicy::unrestricted()).await?;
    let target = Target {
        binding: Binding::Grpc,
        url: format!("http://{address}").parse()?,
        tenant: String::new(),
        version: "1.0".to_owned(),
        card: None,
    };
    let transport = transport(&target, &connections, &settings);
    Ok(Client::new(target, transport))
}

async fn rows(
    options: &Options,
    callers: &[(&'static str, Caller)],
    in_flight: usize,
    table: &mut Table,
) -> Outcome {
    let mut series = vec![Series::default(); callers.len()];
    for round in 0..options.rounds {
        for index in order(round, callers.len()) {
            let (name, caller) = &callers[index];
            let sample = window(caller, in_flight, options).await?;
            note(format!("{name} x {in_flight}, round {round}: {sample:?}"));
            series[index].push(sample);
        }
    }
    for ((name, _), one) in callers.iter().zip(&series) {
        table.row(vec![
            (*name).to_owned(),
            in_flight.to_string(),
            spread(one.of(|sample| sample.cpu_us), 1),
            spread(one.over(&series[0], |sample| sample.cpu_us), 2),
            spread(one.of(|sample| sample.per_second), 0),
            median(one.of(|sample| sample.p50_us), 0),
            median(one.of(|sample| sample.p99_us), 0),
        ]);
    }
    Ok(())
}

async fn window(caller: &Caller, in_flight: usize, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    for _ in 0..in_flight {
        background.spawn(work(caller.clone(), gauge.clone()));
    }
    // The callers are this process, and nothing else is in it while they call.
    gauge.watch_cpu(|| machine::cpu("self"), options).await
}

async fn work(mut caller: Caller, gauge: Arc<Gauge>) {
    loop {
        let start = Instant::now();
        match caller.call().await {
            Ok(_) => gauge.add(1, start.elapsed()),
            Err(error) => return gauge.fail(&*error),
        }
    }
}
