//! `a2ad card`, `a2ad send` and `a2ad task`: a client of any server, by gRPC.

use std::path::{Path, PathBuf};

use a2ad::client::{Address, Client, fetch_card};
use a2ad::pb::{
    AgentCard, CancelTaskRequest, GetTaskRequest, ListTasksRequest, Message, Part, Role,
    SendMessageConfiguration, SendMessageRequest, SubscribeToTaskRequest, TaskState, part,
    send_message_response,
};
use a2ad::signature::{self, Form, Forms, PublicKeys};
use a2ad::task::new_id;
use a2ad::tls::ClientTls;
use clap::{Args, Subcommand};

use super::Outcome;
use super::connect::{Certificates, credential};
use super::output::{self, Format, print};

/// Which server, and how results look.
#[derive(Args)]
pub struct Server {
    /// Where the server is: host:port, http://host:port or https://host
    address: Address,
    /// The agent; the server's default one if not given
    #[arg(long, value_name = "NAME", default_value = "")]
    tenant: String,
    #[command(flatten)]
    certificates: Certificates,
    /// The form of results
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Server {
    fn tls(&self) -> Result<(Address, Option<ClientTls>), String> {
        self.certificates.tls(&self.address)
    }

    async fn connect(&self) -> Result<Client, Box<dyn std::error::Error>> {
        let (address, tls) = self.tls()?;
        let credential = credential()?;
        Ok(Client::grpc(&address, tls.as_ref(), credential.as_ref()).await?)
    }
}

/// Show an agent's card
#[derive(Args)]
pub struct Card {
    #[command(flatten)]
    server: Server,
    /// Fail unless the card is signed with a key of this JWK set
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// Take signatures in the form of the SDKs too, which does not cover empty texts, lists and objects
    #[arg(long, requires = "verify")]
    sdk_form: bool,
}

impl Card {
    pub async fn run(self) -> Outcome {
        let (address, tls) = self.server.tls()?;
        let agent = (!self.server.tenant.is_empty()).then_some(self.server.tenant.as_str());
        let card = fetch_card(&address, tls.as_ref(), agent).await?;
        if let Some(file) = &self.verify {
            check(&card, file, self.sdk_form)?;
        }
        print(self.server.output, &card, describe)
    }
}

/// A card that is not what its owner signed is not printed.
fn check(card: &AgentCard, file: &Path, sdk_form: bool) -> Outcome {
    let json = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let forms = if sdk_form {
        Forms::OrSdks
    } else {
        Forms::Specification
    };
    let verified = PublicKeys::parse(&json)
        .and_then(|keys| signature::verify(card, &keys, forms))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let form = match verified.form {
        Form::Specification => "",
        Form::Sdks => ", in the form of the SDKs: empty texts, lists and objects are not covered",
    };
    eprintln!("signed with the key {:?}{form}", verified.kid);
    Ok(())
}

fn describe(card: &AgentCard) -> String {
    let mut text = format!("{} {}\n{}", card.name, card.version, card.description);
    for interface in &card.supported_interfaces {
        let tenant = if interface.tenant.is_empty() {
            String::new()
        } else {
            format!(" tenant {}", interface.tenant)
        };
        text.push_str(&format!(
            "\n  {} {}{tenant}",
            interface.protocol_binding, interface.url
        ));
    }
    for skill in &card.skills {
        text.push_str(&format!("\n  skill {}: {}", skill.id, skill.description));
    }
    text
}

/// Send a message to an agent
#[derive(Args)]
pub struct Send {
    #[command(flatten)]
    server: Server,
    /// The text of the message
    text: String,
    /// Continue this task
    #[arg(long, value_name = "ID", default_value = "")]
    task: String,
    /// Continue this conversation
    #[arg(long, value_name = "ID", default_value = "")]
    context: String,
    /// Print events as they happen
    #[arg(long, conflicts_with = "no_wait")]
    stream: bool,
    /// Return when the task is accepted
    #[arg(long)]
    no_wait: bool,
}

impl Send {
    pub async fn run(self) -> Outcome {
        let client = self.server.connect().await?;
        let request = SendMessageRequest {
            tenant: self.server.tenant.clone(),
            message: Some(Message {
                message_id: new_id(),
                task_id: self.task,
                context_id: self.context,
                role: Role::User.into(),
                parts: vec![Part {
                    content: Some(part::Content::Text(self.text)),
                    ..Part::default()
                }],
                ..Message::default()
            }),
            configuration: Some(SendMessageConfiguration {
                return_immediately: self.no_wait,
                ..SendMessageConfiguration::default()
            }),
            metadata: None,
        };
        if self.stream {
            return follow(self.server.output, client.send_streaming(request).await?).await;
        }
        let response = client.send(request).await?;
        print(self.server.output, &response, |response| {
            match &response.payload {
                Some(send_message_response::Payload::Task(task)) => output::task(task),
                Some(send_message_response::Payload::Message(message)) => output::words(message),
                None => String::new(),
            }
        })
    }
}

#[derive(Subcommand)]
pub enum Task {
    /// Show a task
    Get {
        #[command(flatten)]
        server: Server,
        /// The task's id
        id: String,
    },
    /// List tasks, newest first
    List {
        #[command(flatten)]
        server: Server,
        /// Only tasks of this conversation
        #[arg(long, value_name = "ID", default_value = "")]
        context: String,
        /// Only tasks in this state, for example working or input-required
        #[arg(long, value_parser = state)]
        state: Option<TaskState>,
    },
    /// Cancel a task
    Cancel {
        #[command(flatten)]
        server: Server,
        /// The task's id
        id: String,
    },
    /// Print a task's events as they happen
    Subscribe {
        #[command(flatten)]
        server: Server,
        /// The task's id
        id: String,
        /// Begin behind this generation instead of with the task
        #[arg(long, value_name = "GENERATION")]
        after: Option<u64>,
    },
}

impl Task {
    pub async fn run(self) -> Outcome {
        match self {
            Self::Get { server, id } => {
                let request = GetTaskRequest {
                    tenant: server.tenant.clone(),
                    id,
                    history_length: None,
                };
                print(
                    server.output,
                    &server.connect().await?.task(request).await?,
                    output::task,
                )
            }
            Self::List {
                server,
                context,
                state,
            } => list(&server, context, state).await,
            Self::Cancel { server, id } => {
                let request = CancelTaskRequest {
                    tenant: server.tenant.clone(),
                    id,
                    metadata: None,
                };
                print(
                    server.output,
                    &server.connect().await?.cancel(request).await?,
                    output::task,
                )
            }
            Self::Subscribe { server, id, after } => {
                let request = SubscribeToTaskRequest {
                    tenant: server.tenant.clone(),
                    id,
                };
                follow(
                    server.output,
                    server.connect().await?.subscribe(request, after).await?,
                )
                .await
            }
        }
    }
}

/// All pages, one task at a time.
async fn list(server: &Server, context_id: String, state: Option<TaskState>) -> Outcome {
    let client = server.connect().await?;
    let mut request = ListTasksRequest {
        tenant: server.tenant.clone(),
        context_id,
        status: state.unwrap_or_default().into(),
        page_size: Some(100),
        ..ListTasksRequest::default()
    };
    loop {
        let page = client.tasks(request.clone()).await?;
        for task in &page.tasks {
            print(server.output, task, output::task)?;
        }
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

async fn follow(format: Format, mut events: a2ad::client::EventStream) -> Outcome {
    while let Some(event) = events.message().await? {
        print(format, &event, |event| {
            event.payload.as_ref().map(output::event).unwrap_or_default()
        })?;
    }
    Ok(())
}

fn state(text: &str) -> Result<TaskState, String> {
    let name = format!("TASK_STATE_{}", text.to_ascii_uppercase().replace('-', "_"));
    TaskState::from_str_name(&name)
        .filter(|state| *state != TaskState::Unspecified)
        .ok_or_else(|| {
            "write submitted, working, completed, failed, canceled, input-required, rejected or auth-required"
                .into()
        })
}
