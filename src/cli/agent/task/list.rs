//! `a2ad task list`.

use a2ad::pb::{ListTasksRequest, ListTasksResponse, TaskState, Timestamp};
use clap::Args;

use super::pages::{self, Next, Pages};
use crate::cli::agent::config::PAGES_MAX;
use crate::cli::agent::failure::Failure;
use crate::cli::agent::options::Options;
use crate::cli::agent::render;
use crate::cli::agent::session::Session;

/// Tasks that are asked for at once where all are wanted.
const PAGE: i32 = 100;

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    pub options: Box<Options>,
    /// Only tasks of this context
    #[arg(long, value_name = "ID", default_value = "")]
    context_id: String,
    /// Only tasks in this state, for example working or input-required
    #[arg(long, value_name = "STATE", value_parser = state)]
    status: Option<TaskState>,
    /// Only tasks whose state has changed since, for example 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// One page of as many tasks, instead of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    page_size: Option<i32>,
    /// The page with this token, as the page before it names it
    #[arg(long, value_name = "TOKEN")]
    page_token: Option<String>,
    /// Pages that are asked for at most where all tasks are wanted; what is behind them is told of
    #[arg(long, value_name = "N", default_value = PAGES_MAX, value_parser = clap::value_parser!(u32).range(1..))]
    pages_max: u32,
    /// With as many of each task's latest messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    history: Option<i32>,
    /// With the artifacts of each task
    #[arg(long)]
    include_artifacts: bool,
}

impl List {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let is_one_page = self.page_size.is_some() || self.page_token.is_some();
        let mut request = self.request();
        let mut all = ListTasksResponse::default();
        let mut pages = Pages::new(self.pages_max);
        loop {
            let mut page = agent.client.tasks(request.clone()).await?;
            let tasks = std::mem::take(&mut page.tasks);
            let next = std::mem::take(&mut page.next_page_token);
            if session.is_one_by_one() {
                for task in &tasks {
                    self.print(session, task)?;
                }
            } else {
                all.tasks.extend(tasks);
                all.total_size = page.total_size;
                all.page_size = i32::try_from(all.tasks.len()).unwrap_or(i32::MAX);
            }
            if is_one_page {
                return self.end(session, all, next);
            }
            match pages.behind(&request.page_token, next) {
                Next::Page(next) => request.page_token = next,
                Next::Left(next) => return self.end(session, all, next),
                Next::End => return self.end(session, all, String::new()),
                Next::Again => {
                    pages::warn_of_circle(session);
                    return self.end(session, all, String::new());
                }
            }
        }
    }

    fn request(&self) -> ListTasksRequest {
        ListTasksRequest {
            tenant: String::new(),
            context_id: self.context_id.clone(),
            status: self.status.unwrap_or_default().into(),
            page_size: Some(self.page_size.unwrap_or(PAGE)),
            page_token: self.page_token.clone().unwrap_or_default(),
            history_length: Some(self.history.unwrap_or(0)),
            status_timestamp_after: self.since,
            include_artifacts: Some(self.include_artifacts),
        }
    }

    fn print(&self, session: &Session, task: &a2ad::pb::Task) -> Result<(), Failure> {
        let is_verbose = session.out.is_verbose;
        session.out.result(task, |page, task| {
            render::task(page, task, None, self.history.is_some(), is_verbose);
        })
    }

    /// Prints what is the end of a list: the whole of it as one document, or where to go on.
    fn end(&self, session: &Session, mut all: ListTasksResponse, next: String) -> Result<(), Failure> {
        if !session.is_one_by_one() {
            all.next_page_token = next;
            return session.out.result(&all, |_, _| {});
        }
        if !next.is_empty() {
            session.out.note(&format!("there are more: --page-token {next}"));
        }
        Ok(())
    }
}

fn state(text: &str) -> Result<TaskState, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    let name = name.strip_prefix("TASK_STATE_").unwrap_or(&name);
    TaskState::from_str_name(&format!("TASK_STATE_{name}"))
        .filter(|state| *state != TaskState::Unspecified)
        .ok_or_else(|| {
            "write submitted, working, completed, failed, canceled, input-required, rejected or auth-required"
                .into()
        })
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "write a time of RFC 3339, for example 2026-01-31T12:00:00Z".into())
}
