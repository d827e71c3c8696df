//! An egress client whose names are the test's, and whose every connection is seen.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::egress::{Dial, Egress, EgressClient, EgressPolicy, EgressSettings, Resolve};
use a2ad::shutdown::Shutdown;
use async_trait::async_trait;
use tokio::net::TcpStream;

/// The answers of a name, one for each time that it is asked for; the last one stays.
#[derive(Default)]
pub struct Names(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl Names {
    /// What a name resolves to from now on: one answer for each time, the last for ever.
    pub fn set(&self, name: &str, answers: &[&[&str]]) {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.0.lock().unwrap().insert(name.to_owned(), answers);
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().unwrap();
        let answers = names
            .get_mut(host)
            .ok_or_else(|| io::Error::other("no such name"))?;
        let answer = answers.front().unwrap().clone();
        if answers.len() > 1 {
            answers.pop_front();
        }
        Ok(answer)
    }
}

/// Writes down every address that is connected to, and connects to one of this machine instead.
pub struct Recorder {
    dialed: Mutex<Vec<SocketAddr>>,
    instead: SocketAddr,
    /// Where nobody ever answers.
    silent: Vec<IpAddr>,
}

impl Recorder {
    /// Connects to `instead`, but for the `silent` addresses.
    pub fn new(instead: SocketAddr, silent: &[&str]) -> Self {
        Self {
            dialed: Mutex::default(),
            instead,
            silent: silent.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    /// The addresses that were connected to since the last time.
    pub fn dialed(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.dialed.lock().unwrap())
    }
}

#[async_trait]
impl Dial for Recorder {
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.dialed.lock().unwrap().push(address);
        if self.silent.contains(&address.ip()) {
            std::future::pending::<()>().await;
        }
        TcpStream::connect(self.instead).await
    }
}

/// A client in a world of its own.
pub struct World {
    pub client: EgressClient,
    names: Arc<Names>,
    recorder: Arc<Recorder>,
}

impl World {
    /// Whatever is connected to is `instead`, but for the `silent` addresses.
    pub async fn new(
        instead: SocketAddr,
        silent: &[&str],
        policy: EgressPolicy,
        settings: EgressSettings,
    ) -> Self {
        let names = Arc::new(Names::default());
        let recorder = Arc::new(Recorder::new(instead, silent));
        let egress = Egress::open_with(settings, names.clone(), recorder.clone(), &Shutdown::new()).await;
        let egress = egress.unwrap();
        Self {
            client: egress.client(policy),
            names,
            recorder,
        }
    }

    /// What a name resolves to from now on: one answer for each time, the last for ever.
    pub fn name(&self, name: &str, answers: &[&[&str]]) {
        self.names.set(name, answers);
    }

    /// The addresses that were connected to since the last time.
    pub fn dialed(&self) -> Vec<SocketAddr> {
        self.recorder.dialed()
    }
}

/// Everything by default, but nothing takes longer than a test may.
pub fn settings() -> EgressSettings {
    EgressSettings {
        timeout: Duration::from_secs(20),
        ..EgressSettings::default()
    }
}

pub fn with_loopback() -> EgressPolicy {
    EgressPolicy {
        allow_loopback: true,
        ..EgressPolicy::default()
    }
}
