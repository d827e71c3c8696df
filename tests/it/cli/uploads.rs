//! `a2ad send --file` with files of any size.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use a2ad::shutdown::Shutdown;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use super::harness::User;
use crate::binary::Server;

const BINDINGS: [&str; 3] = ["grpc", "jsonrpc", "http+json"];

/// How much more memory the program may have had for a large file than for one of a single byte.
const BYTES_MORE: u64 = 16 << 20;

/// Long, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(120);

fn agent_of(server: &Server) -> String {
    format!("{}/conformance", server.addr)
}

/// n: 1 file of 2 MB on 3 bindings, waited for and streamed.
#[test]
fn a_file_arrives_as_it_is_and_a_pipe_sees_no_progress() {
    let server = Server::start(&[
        "--database",
        "memory",
        "--set",
        "server.body_bytes_max=16777216",
        "--set",
        "limits.part_bytes_max=16777216",
    ]);
    let user = User::new();
    let bytes: Vec<u8> = (0..2_000_001_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(user.work().join("big.pdf"), &bytes).unwrap();
    let encoded = STANDARD.encode(&bytes);
    let agent = agent_of(&server);
    for binding in BINDINGS {
        for more in [&[][..], &["--async"]] {
            let line = [
                "send",
                "tck-complete-task",
                "--file",
                "big.pdf",
                "-a",
                &agent,
                "--transport",
                binding,
            ];
            let run = user.run(&[&line, &["-o", "json", "--history", "9"][..], more].concat());
            assert_eq!(run.code, 0, "{binding}: {}", run.err);
            assert!(!run.err.contains("sending"), "{}", run.err);
            let part = &run.json()["task"]["history"][0]["parts"][1];
            assert!(part["raw"] == encoded, "{binding} {more:?}");
            assert_eq!(
                (&part["filename"], &part["mediaType"]),
                (&json!("big.pdf"), &json!("application/pdf"))
            );
        }
    }
}

#[test]
fn what_is_too_large_for_the_agent_is_refused_in_its_words() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let file = std::fs::File::create(user.work().join("huge.bin")).unwrap();
    file.set_len(300 << 20).unwrap();
    let agent = agent_of(&server);
    for binding in BINDINGS {
        let line = [
            "send",
            "x",
            "--file",
            "huge.bin",
            "-a",
            &agent,
            "--transport",
            binding,
            "-o",
            "json",
        ];
        let run = user.run(&line);
        assert_eq!(
            (run.code, &*run.failure()),
            (1, "A2AD_RESOURCE_EXHAUSTED"),
            "{binding}: {}",
            run.out
        );
        assert!(run.out.contains("4194304"), "{}", run.out);
    }
    let file = std::fs::File::create(user.work().join("endless.bin")).unwrap();
    file.set_len(1 << 32).unwrap();
    let run = user.run(&[
        "send",
        "--file",
        "endless.bin",
        "-a",
        &agent,
        "--transport",
        "grpc",
    ]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(
        run.err.contains("send it by JSON-RPC or HTTP+JSON"),
        "{}",
        run.err
    );
}

#[test]
fn what_has_no_length_is_read_before_it_is_sent() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = agent_of(&server);
    let line = [
        "send",
        "tck-complete-task",
        "--file",
        "/dev/stdin",
        "-a",
        &agent,
        "-o",
        "json",
        "--history",
        "9",
    ];
    let mut child = user
        .command(&line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from a pipe").unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let part = &answer["task"]["history"][0]["parts"][1];
    assert_eq!(part["raw"], STANDARD.encode("from a pipe"), "{answer}");
    // It says that it has no bytes.
    let run = user.run(&[
        "send",
        "tck-complete-task",
        "--file",
        "/proc/self/cmdline",
        "-a",
        &agent,
        "-o",
        "json",
        "--history",
        "9",
    ]);
    let part = &run.json()["task"]["history"][0]["parts"][1];
    let raw = STANDARD.decode(part["raw"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8_lossy(&raw).contains("tck-complete-task"));
    // It says that it has 4096.
    let online = "/sys/devices/system/cpu/online";
    let run = user.run(&[
        "send",
        "tck-complete-task",
        "--file",
        online,
        "-a",
        &agent,
        "-o",
        "json",
        "--history",
        "9",
    ]);
    let part = &run.json()["task"]["history"][0]["parts"][1];
    assert_eq!(
        part["raw"],
        STANDARD.encode(std::fs::read(online).unwrap()),
        "{}",
        run.err
    );
    for (name, said) in [("none.bin", "--file none.bin"), (".", "--file .")] {
        let run = user.run(&["send", "--file", name, "-a", &agent]);
        assert_eq!(run.code, 2, "{}", run.err);
        assert!(run.err.contains(said), "{}", run.err);
    }
}

/// An agent that takes all there is, tells how much it was, and waits before it answers.
async fn drain() -> (SocketAddr, mpsc::UnboundedReceiver<u64>, Arc<Semaphore>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let held = go.clone();
    Shutdown::new().spawn_unstoppable("drain", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tell, held) = (tell.clone(), held.clone());
            Shutdown::new().spawn_unstoppable("connection", async move {
                let service = service_fn(move |request| taken(request, address, tell.clone(), held.clone()));
                let builder = auto::Builder::new(TokioExecutor::new());
                // A client may leave when it likes.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, told, go)
}

async fn taken(
    request: Request<Incoming>,
    address: SocketAddr,
    tell: mpsc::UnboundedSender<u64>,
    held: Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let typed = Response::builder().header("content-type", "application/json");
    if request.method() == Method::GET {
        return Ok(typed.body(Full::from(card(address).to_string())).unwrap());
    }
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    tell.send(bytes).unwrap();
    held.acquire().await.unwrap().forget();
    Ok(typed.status(409).body(Full::default()).unwrap())
}

fn card(address: SocketAddr) -> Value {
    let interfaces = ["GRPC", "JSONRPC", "HTTP+JSON"];
    let interfaces = interfaces.map(|binding| {
        json!({"url": format!("http://{address}"), "protocolBinding": binding, "protocolVersion": "1.0"})
    });
    json!({
        "name": "Drain", "description": "Takes all", "version": "1", "skills": [], "capabilities": {},
        "defaultInputModes": ["*/*"], "defaultOutputModes": ["*/*"], "supportedInterfaces": interfaces,
    })
}

/// The most memory that a process has had.
fn most_resident(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib << 10
}

/// n: 1 file of 192 MiB on 3 bindings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_any_size_goes_out_in_little_memory() {
    let (address, mut told, go) = drain().await;
    let user = User::new();
    for binding in BINDINGS {
        let mut resident = Vec::new();
        for length in [1, 192 << 20] {
            let file = std::fs::File::create(user.work().join("sparse.bin")).unwrap();
            file.set_len(length).unwrap();
            let agent = address.to_string();
            let line = [
                "send",
                "--file",
                "sparse.bin",
                "-a",
                &agent,
                "--transport",
                binding,
            ];
            let mut child = user.command(&line).stderr(Stdio::null()).spawn().unwrap();
            let taken = tokio::time::timeout(PATIENCE, told.recv()).await;
            let taken = taken.expect("all of the request").unwrap();
            assert!(taken > length, "{binding}: {taken} bytes");
            resident.push(most_resident(&child));
            go.add_permits(1);
            tokio::task::spawn_blocking(move || child.wait().unwrap())
                .await
                .unwrap();
        }
        eprintln!("{binding}: {resident:?} bytes resident at most");
        assert!(resident[1] < resident[0] + BYTES_MORE, "{binding}: {resident:?}");
    }
}
