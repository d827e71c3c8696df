//! What the README shows of the commands works as it stands, and what it says of their proofs is so.

use std::path::Path;
use std::process::{Command, Stdio};

use super::harness::User;
use crate::binary::{PROGRAM, Server};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The lines of the shell in the section about the commands.
fn lines(readme: &str) -> Vec<&str> {
    let (_, section) = readme.split_once("## An agent from the command line\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").unwrap().0);
    blocks
        .flat_map(str::lines)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A reader: a shell that knows the program, and the files that the README names.
struct Reader {
    user: User,
    agent: String,
    exported: String,
}

impl Reader {
    fn new(server: &Server) -> Self {
        let user = User::new();
        let bin = user.home().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(PROGRAM, bin.join("a2ad")).unwrap();
        for (name, content) in [
            ("report.pdf", "%PDF"),
            ("order.json", "{\"n\":1}"),
            ("notes", "# n"),
        ] {
            std::fs::write(user.work().join(name), content).unwrap();
        }
        Self {
            user,
            agent: server.addr.to_string(),
            exported: String::new(),
        }
    }

    /// What a line prints; it has to succeed.
    fn run(&self, line: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", &format!("{}{line}", self.exported)])
            .env_clear()
            .env("HOME", self.user.home())
            .env(
                "PATH",
                format!("{}:{path}", self.user.home().join("bin").display()),
            )
            .current_dir(self.user.work())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{line}: {out}{err}");
        out
    }

    /// The id and the context of a new task of this agent.
    fn begun(&self, agent: &str, text: &str) -> (String, String) {
        let out = self.run(&format!("a2ad send -a {}/{agent} '{text}'", self.agent));
        let field = |label: &str| {
            out.lines()
                .find_map(|line| line.strip_prefix(label))
                .unwrap()
                .to_owned()
        };
        (field("Task: "), field("Context: "))
    }

    /// The line with what stands in it for something of the reader's own.
    fn own(&self, line: &str) -> String {
        // What has ended can be looked at and saved, and only what waits can be gone on with.
        let (task, context) = match line.contains("task get") || line.contains("task download") {
            true => self.begun("echo", "hello"),
            false => self.begun("conformance", "tck-multi-turn"),
        };
        let of_conformance = ["task subscribe ID", "task cancel ID", "--task-id ID"];
        let to = match of_conformance.iter().any(|words| line.contains(words)) {
            true => format!(" -a {}/conformance", self.agent),
            false => String::new(),
        };
        let line = line
            .replace(" ID", &format!(" {task}"))
            .replace("CONTEXT", &context);
        line.replace("127.0.0.1:8420", &self.agent) + &to
    }
}

#[test]
fn the_commands_of_the_readme_work_as_they_stand() {
    let server = Server::start(&["--database", "memory", "--allow-loopback-webhooks"]);
    let mut reader = Reader::new(&server);
    let readme = readme();
    let lines = lines(&readme);
    assert!(lines.len() >= 20, "{} lines", lines.len());
    for line in lines {
        let command = line.split("  #").next().unwrap_or_default().trim_end();
        if command.starts_with("export ") {
            let command = command.replace("127.0.0.1:8420", &reader.agent);
            reader.exported.push_str(&format!("{command}\n"));
            continue;
        }
        let out = reader.run(&reader.own(command));
        assert!(
            !out.is_empty() || command == "a2ad chat",
            "{command} prints nothing"
        );
    }
}

#[test]
fn the_readme_counts_the_golden_files_right() {
    let folder = root().join("tests/it/cli/golden");
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let text: String = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let lines = text.lines().filter(|line| line.starts_with("$ a2ad")).count();
    let said = format!("{} files with {lines} command lines", files.len());
    assert!(readme().contains(&said), "it is {said}");
}
