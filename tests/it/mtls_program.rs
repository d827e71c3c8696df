//! Trust domains and revocation from the configuration file to the stream of a caller.

use std::path::Path;

use a2ad::client::{Address, Client, EventStream};
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{CancelTaskRequest, GetTaskRequest, Message, Part, Role, SendMessageRequest, TaskState, part};
use a2ad::tls::ClientTls;
use a2ad::tls::dev::{DevCa, Issued, Names, Validity};

use crate::binary::Server;
use crate::mtls_sockets::Files;
use crate::sockets::soon;

const CONFIG: &str = r#"
[tls]
cert_file = "server.pem"
key_file = "server.key"
client_ca_file = "ca.pem"
client_names = "spiffe"
reload_interval_ms = 50

[tls.trust_domains."example.org"]

[tls.trust_domains."partner.example"]
ca_file = "partner.pem"
crl_files = ["partner.crl"]

[access]
default = "allow"
"#;

async fn connect(server: &Server, files: &Files, client: &Issued) -> Result<Client, a2ad::client::Error> {
    let address: Address = format!("https://localhost:{}", server.addr.port())
        .parse()
        .unwrap();
    let tls: ClientTls = files.client_tls(Some(client));
    Client::grpc(&address, Some(&tls), None).await
}

/// A stream on a task that stays WORKING, and the task's id.
async fn stream(client: &Client) -> (EventStream, String) {
    let message = Message {
        message_id: "1".to_owned(),
        role: Role::User.into(),
        parts: vec![Part {
            content: Some(part::Content::Text("hold:3600".to_owned())),
            ..Part::default()
        }],
        ..Message::default()
    };
    let request = SendMessageRequest {
        tenant: "bench".to_owned(),
        message: Some(message),
        ..SendMessageRequest::default()
    };
    let mut stream = soon("a stream", client.send_streaming(request)).await.unwrap();
    loop {
        let event = soon("an event", stream.message()).await.unwrap().unwrap();
        if let Some(Payload::StatusUpdate(update)) = event.payload
            && update
                .status
                .is_some_and(|status| status.state() == TaskState::Working)
        {
            return (stream, update.task_id);
        }
    }
}

fn get(id: &str) -> GetTaskRequest {
    GetTaskRequest {
        tenant: "bench".to_owned(),
        id: id.to_owned(),
        ..GetTaskRequest::default()
    }
}

fn revoke(dir: &Path, partner: &DevCa, serials: &[Vec<u8>]) {
    let list = partner.crl(serials, Validity::days(1)).unwrap();
    std::fs::write(dir.join("new.crl"), list).unwrap();
    std::fs::rename(dir.join("new.crl"), dir.join("partner.crl")).unwrap();
}

#[tokio::test]
async fn a_partners_stream_ends_when_the_partner_is_revoked_and_the_task_goes_on() {
    let files = Files::new();
    let partner = DevCa::generate("partner CA", Validity::days(1)).unwrap();
    let dir = files.path("");
    files.write("partner.pem", &partner.cert_pem());
    files.write("a2ad.toml", CONFIG);
    revoke(&dir, &partner, &[]);
    let server = Server::start_in(&dir, &["--database", "memory", "--config", "a2ad.toml"]);

    let issue = |ca: &DevCa, id: &str| ca.issue_client(&Names::spiffe(id), Validity::days(1)).unwrap();
    let member = issue(&files.ca, "spiffe://example.org/a");
    let guest = issue(&partner, "spiffe://partner.example/a");
    let guest_again = issue(&partner, "spiffe://partner.example/a");
    for intruder in [
        issue(&partner, "spiffe://example.org/a"),
        issue(&files.ca, "spiffe://partner.example/a"),
        issue(&files.ca, "spiffe://elsewhere.example/a"),
    ] {
        let refused = async {
            let client = connect(&server, &files, &intruder).await?;
            client.task(get("t")).await
        };
        let refused = refused.await.unwrap_err().to_string();
        assert!(!refused.contains("not found"), "{refused}");
    }

    let members = connect(&server, &files, &member).await.unwrap();
    let guests = connect(&server, &files, &guest).await.unwrap();
    let (mut kept, kept_id) = stream(&members).await;
    let (mut lost, lost_id) = stream(&guests).await;
    revoke(&dir, &partner, std::slice::from_ref(&guest.serial));
    let ended = soon("the end of the stream", lost.message()).await;
    assert!(ended.is_err(), "{ended:?}");

    // The same caller by another certificate: its task has outlived the stream.
    let guests = connect(&server, &files, &guest_again).await.unwrap();
    let task = soon("the task", guests.task(get(&lost_id))).await.unwrap();
    assert_eq!(task.status.unwrap().state(), TaskState::Working);
    let foreign = soon("the task of another", guests.task(get(&kept_id))).await;
    assert!(foreign.is_err(), "{foreign:?}");

    // And the other stream shows what comes next.
    let cancel = CancelTaskRequest {
        tenant: "bench".to_owned(),
        id: kept_id,
        ..CancelTaskRequest::default()
    };
    soon("the cancelling", members.cancel(cancel)).await.unwrap();
    let event = soon("the last event", kept.message()).await.unwrap().unwrap();
    let Some(Payload::StatusUpdate(update)) = event.payload else {
        panic!("{event:?}");
    };
    assert_eq!(update.status.unwrap().state(), TaskState::Canceled);
}
