//! Servers that answer what a check says: agents that misbehave, authorization servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A field of a form.
    pub fn form(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.body.as_bytes());
        fields
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
pub enum Reply {
    Json(u16, Value),
    /// Just so: status, headers, body.
    Raw(u16, Vec<(&'static str, String)>, String),
    /// The events of a stream, after which it breaks off.
    Events(Vec<Value>),
    /// Nothing more is said, with the connection open.
    Silence,
}

type Decide = dyn Fn(&Asked, &str) -> Reply + Send + Sync;

/// A server on this machine; it goes on until the tests end.
#[derive(Clone)]
pub struct Site {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Site {
    /// Answers each request as `decide` says, which also gets the origin of the site.
    pub fn new(decide: impl Fn(&Asked, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let site = Self {
            address,
            asked: asked.clone(),
        };
        let decide: Arc<Decide> = Arc::new(decide);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, decide) = (asked.clone(), decide.clone());
                std::thread::spawn(move || answer(stream, &format!("http://{address}"), &asked, &*decide));
            }
        });
        site
    }

    /// An agent by HTTP+JSON, whose card is the usual one with `more` in it.
    pub fn agent(more: Value, decide: impl Fn(&Asked, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::new(move |asked, base| match asked.path() {
            "/.well-known/agent-card.json" => Reply::Json(200, card(base, &more)),
            _ => decide(asked, base),
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for at a path, cards not counted.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let all = self.asked.lock().unwrap();
        all.iter().filter(|one| one.path() == path).cloned().collect()
    }

    /// Everything that was asked for.
    pub fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A card with one interface by HTTP+JSON at `base`, and `more`.
pub fn card(base: &str, more: &Value) -> Value {
    let mut card = json!({
        "name": "Scripted",
        "description": "Does what a test says",
        "version": "1",
        "supportedInterfaces": [{"url": base, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}],
        "capabilities": {},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "s", "name": "S", "description": "s", "tags": ["s"]}],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        let text = value.to_string().replace("BASE", base);
        card[name] = serde_json::from_str(&text).unwrap();
    }
    card
}

/// A task in a state.
pub fn task(id: &str, state: &str) -> Value {
    json!({"id": id, "contextId": "context-1", "status": {"state": format!("TASK_STATE_{state}")}})
}

/// An error in the form of the HTTP+JSON binding.
pub fn error(status: u16, name: &str, reason: &str) -> Reply {
    let body = json!({"error": {"code": status, "status": name, "message": "as the test says", "details": [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "a2a-protocol.org",
    }]}});
    Reply::Json(status, body)
}

fn answer(stream: TcpStream, base: &str, asked: &Mutex<Vec<Asked>>, decide: &Decide) {
    // Whoever goes away early has what they wanted.
    let _ = exchange(stream, base, asked, decide);
}

fn exchange(
    mut stream: TcpStream,
    base: &str,
    asked: &Mutex<Vec<Asked>>,
    decide: &Decide,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = Asked {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    asked.lock().unwrap().push(request.clone());
    match decide(&request, base) {
        Reply::Json(status, value) => {
            let body = value.to_string();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Reply::Raw(status, headers, body) => {
            let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            let (headers, length) = (headers.collect::<String>(), body.len());
            write!(
                stream,
                "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
        }
        Reply::Events(events) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            )?;
            events
                .iter()
                .try_for_each(|event| write!(stream, "data: {event}\n\n"))
        }
        Reply::Silence => {
            std::thread::sleep(Duration::from_secs(600));
            Ok(())
        }
    }
}
