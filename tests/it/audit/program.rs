//! The program with client certificates and audit records, and callers on all three bindings.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use a2ad::audit::Record;
use a2ad::pb::client::A2aServiceClient;
use a2ad::tls::dev::Names;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::binary::{PROGRAM, Server};
use crate::mtls_sockets::Files;
use crate::sockets::soon;
use crate::support::raw::Raw;
use crate::support::wire::Wire;

/// Certificates, a configuration, and what the program leaves behind.
pub struct Place {
    pub files: Files,
}

pub struct Caller {
    tls: Arc<ClientConfig>,
    pub name: String,
    channel: Channel,
    port: u16,
}

impl Place {
    /// With records in a file and in the database, and this at the end of the configuration.
    pub fn new(more: &str) -> Self {
        let files = Files::new();
        files.write(
            "a2ad.toml",
            &format!(
                "[tls]\ncert_file = \"server.pem\"\nkey_file = \"server.key\"\nclient_ca_file = \"ca.pem\"\n\
                 [access]\ndefault = \"allow\"\n[audit]\nfile = \"audit.jsonl\"\nsync_interval_ms = 20\n{more}"
            ),
        );
        Self { files }
    }

    pub fn start(&self) -> Server {
        self.start_on("sqlite://a2ad.db")
    }

    pub fn start_on(&self, database: &str) -> Server {
        let arguments = ["--config", "a2ad.toml", "--database", database];
        Server::start_in(&self.files.path(""), &arguments)
    }

    pub fn file(&self) -> PathBuf {
        self.files.path("audit.jsonl")
    }

    pub fn database(&self) -> PathBuf {
        self.files.path("a2ad.db")
    }

    /// Runs a command of the program in the folder, under a name that is not the user's.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.files.path(""))
            .env("USER", "somebody else")
            .output()
            .unwrap()
    }

    /// Whether `a2ad audit verify` is content, and what it says.
    pub fn verify(&self, arguments: &[&str]) -> (bool, String) {
        let all = [&["audit", "verify", "--config", "a2ad.toml"], arguments].concat();
        let output = self.run(&all);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    pub fn is_whole(&self) {
        for arguments in [&["--file", "audit.jsonl"][..], &[]] {
            let (whole, text) = self.verify(arguments);
            assert!(whole, "{arguments:?}: {text}");
        }
    }

    /// All records of the file.
    pub fn records(&self) -> Vec<Record<'static>> {
        let text = std::fs::read_to_string(self.file()).unwrap();
        records(&text)
    }

    pub async fn caller(&self, server: &Server, name: &str) -> Caller {
        self.caller_at(server.addr.port(), name).await
    }

    pub async fn caller_at(&self, port: u16, name: &str) -> Caller {
        let name = format!("spiffe://example.org/{name}");
        let issued = self.files.client(&Names::spiffe(&name));
        let tls = self.files.client_tls(Some(&issued)).tonic().await.unwrap();
        let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
        let http = self.files.config(Some(&issued), &["http/1.1"]).await;
        Caller {
            tls: Arc::new(http),
            name,
            channel,
            port,
        }
    }
}

/// Makes the tables of a database.
pub fn migrate(url: &str) {
    let migrated = Command::new(PROGRAM)
        .arg("migrate")
        .env("A2AD__DATABASE__URL", url)
        .status();
    assert!(migrated.unwrap().success());
}

pub fn records(text: &str) -> Vec<Record<'static>> {
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines
        .map(|line| serde_json::from_str(line.trim_end()).unwrap())
        .collect()
}

/// All records of a database, chain by chain.
pub async fn stored(database: &Raw) -> Vec<Record<'static>> {
    let rows = database
        .rows("SELECT record AS text FROM audit_record ORDER BY chain, seq")
        .await;
    let batches = rows
        .iter()
        .map(|row| row.try_get::<String>("", "text").unwrap() + "\n");
    records(&batches.collect::<String>())
}

impl Caller {
    pub fn grpc(&self) -> A2aServiceClient<Channel> {
        A2aServiceClient::new(self.channel.clone())
    }

    /// A request of HTTP/1.1 with a connection of its own; its status and body.
    pub async fn http(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, String) {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(self.tls.clone()).connect(name, stream);
        let io = TokioIo::new(soon("a handshake", tls).await.unwrap());
        let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let mut request = http::Request::builder()
            .method(verb)
            .uri(path)
            .header("host", "localhost")
            .header("a2a-version", "1.0")
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(serde_json::to_vec(body).unwrap())))
            .unwrap();
        let exchange = async {
            let response = send.send_request(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8_lossy(&body).into_owned())
        };
        tokio::select! {
            answer = soon("an answer", exchange) => answer,
            _ = async { let _ = connection.await; std::future::pending::<()>().await } => unreachable!(),
        }
    }

    /// Sends a message that begins a task on a binding, under a request id; whether it went well, and the task's id.
    pub async fn send(&self, wire: Wire, id: &str, said: &str) -> Result<String, String> {
        match wire {
            Wire::Grpc => {
                let mut request = tonic::Request::new(crate::support::messages::send("echo", id, said));
                let metadata = request.metadata_mut();
                metadata.insert("a2a-version", "1.0".parse().unwrap());
                metadata.insert("x-request-id", id.parse().unwrap());
                let answer = self.grpc().send_message(request).await;
                let answer = answer.map_err(|status| status.message().to_owned())?;
                Ok(crate::support::messages::task(answer.into_inner()).id)
            }
            Wire::JsonRpc | Wire::HttpJson => {
                let message = json!({"messageId": id, "role": "ROLE_USER", "parts": [{"text": said}]});
                let (path, body) = match wire {
                    Wire::JsonRpc => (
                        "/",
                        json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}),
                    ),
                    _ => ("/message:send", json!({ "message": message })),
                };
                let (_, text) = self.http("POST", path, &[("x-request-id", id)], &body).await;
                let answer: Value = serde_json::from_str(&text).unwrap();
                let task = answer.pointer("/result/task/id").or(answer.pointer("/task/id"));
                let id = task.and_then(Value::as_str).map(str::to_owned);
                id.ok_or(text)
            }
        }
    }
}
