//! What a path and a verb mean. Hand-written, because the protocol's paths end in `:verb`, which path patterns of
//! frameworks can't tell from an id, and because ids must never become another route.

use std::borrow::Cow;

use http::Method as Verb;

use super::percent;
use crate::error::Error;
use crate::service::Method;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'p> {
    /// The agent that the path names.
    pub(super) agent: Option<&'p str>,
    pub(super) target: Target<'p>,
}

/// What answers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'p> {
    /// An operation of the HTTP+JSON binding.
    Operation {
        method: Method,
        names: Names<'p>,
    },
    JsonRpc,
    Card,
    PublicKeys,
    OpenApi,
    Health,
}

/// The names that stand in a path, decoded; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names<'p> {
    /// The agent before the route, where that is what the protocol calls the tenant (specification 11.3).
    pub(super) tenant: Cow<'p, str>,
    pub(super) task: Cow<'p, str>,
    pub(super) config: Cow<'p, str>,
}

/// Why a request goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// There is no such path.
    Unknown,
    /// The path is there for these verbs only.
    NotAllowed(&'static str),
    /// The path has an id that can't be read.
    Malformed(Error),
}

/// What a path names, whatever the verb; ids are still encoded.
#[derive(Clone, Copy)]
enum Resource<'p> {
    Send,
    Stream,
    Tasks,
    Task(&'p str),
    Cancel(&'p str),
    Subscribe(&'p str),
    Configs(&'p str),
    Config(&'p str, &'p str),
    ExtendedCard,
    JsonRpc,
    Card,
    PublicKeys,
    OpenApi,
    Health,
}

/// The most segments that a route has: agent, `tasks`, id, `pushNotificationConfigs`, id.
const SEGMENTS_MAX: usize = 5;

/// Finds the route of a request.
pub(super) fn route<'p>(
    verb: &Verb,
    path: &'p str,
    is_hosted: impl Fn(&str) -> bool,
) -> Result<Route<'p>, Miss> {
    let mut segments = [""; SEGMENTS_MAX];
    let count = split(path, &mut segments).ok_or(Miss::Unknown)?;
    let segments = &segments[..count];
    if let Some(resource) = resource(segments) {
        return Ok(Route {
            agent: None,
            target: target(resource, verb)?,
        });
    }
    let [agent, rest @ ..] = segments else {
        return Err(Miss::Unknown);
    };
    match resource(rest).ok_or(Miss::Unknown)? {
        Resource::PublicKeys | Resource::OpenApi | Resource::Health => Err(Miss::Unknown),
        // A word that is no agent's name is most likely a mistyped route.
        Resource::JsonRpc if !is_hosted(agent) => Err(Miss::Unknown),
        _ if !could_be_agent(agent) => Err(Miss::Unknown),
        resource => Ok(Route {
            agent: Some(agent),
            target: target(resource, verb)?,
        }),
    }
}

/// Splits a path; one slash at its end does not count. Nothing when a segment is empty or there are too many.
fn split<'p>(path: &'p str, segments: &mut [&'p str; SEGMENTS_MAX]) -> Option<usize> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return (path.len() == 1).then_some(0);
    }
    let mut count = 0;
    for segment in inner.split('/') {
        if segment.is_empty() {
            return None;
        }
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    Some(count)
}

fn could_be_agent(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

fn resource<'p>(segments: &[&'p str]) -> Option<Resource<'p>> {
    Some(match *segments {
        [] | ["rpc"] => Resource::JsonRpc,
        ["message:send"] => Resource::Send,
        ["message:stream"] => Resource::Stream,
        ["tasks"] => Resource::Tasks,
        ["tasks", name] => task(name)?,
        ["tasks", id, "pushNotificationConfigs"] => Resource::Configs(id),
        ["tasks", id, "pushNotificationConfigs", config] => Resource::Config(id, config),
        ["extendedAgentCard"] => Resource::ExtendedCard,
        [".well-known", "agent-card.json"] => Resource::Card,
        [".well-known", "jwks.json"] => Resource::PublicKeys,
        ["openapi.json"] => Resource::OpenApi,
        ["healthz"] => Resource::Health,
        _ => return None,
    })
}

/// The verb behind the id counts only as it is written: an encoded colon belongs to the id.
fn task(name: &str) -> Option<Resource<'_>> {
    let resource = if let Some(id) = name.strip_suffix(":cancel") {
        (id, Resource::Cancel(id))
    } else if let Some(id) = name.strip_suffix(":subscribe") {
        (id, Resource::Subscribe(id))
    } else {
        (name, Resource::Task(name))
    };
    (!resource.0.is_empty()).then_some(resource.1)
}

fn target<'p>(resource: Resource<'p>, verb: &Verb) -> Result<Target<'p>, Miss> {
    let operation = |method, task: &'p str, config: &'p str| {
        let decode = |text| percent::segment(text).map_err(Miss::Malformed);
        Ok(Target::Operation {
            method,
            names: Names {
                tenant: Cow::default(),
                task: decode(task)?,
                config: decode(config)?,
            },
        })
    };
    match (resource, verb.as_str()) {
        (Resource::Send, "POST") => operation(Method::SendMessage, "", ""),
        (Resource::Stream, "POST") => operation(Method::SendStreamingMessage, "", ""),
        (Resource::Tasks, "GET") => operation(Method::ListTasks, "", ""),
        (Resource::Task(id), "GET") => operation(Method::GetTask, id, ""),
        (Resource::Cancel(id), "POST") => operation(Method::CancelTask, id, ""),
        (Resource::Subscribe(id), "GET" | "POST") => operation(Method::SubscribeToTask, id, ""),
        (Resource::Configs(id), "GET") => operation(Method::ListTaskPushNotificationConfigs, id, ""),
        (Resource::Configs(id), "POST") => operation(Method::CreateTaskPushNotificationConfig, id, ""),
        (Resource::Config(id, config), "GET") => operation(Method::GetTaskPushNotificationConfig, id, config),
        (Resource::Config(id, config), "DELETE") => {
            operation(Method::DeleteTaskPushNotificationConfig, id, config)
        }
        (Resource::ExtendedCard, "GET") => operation(Method::GetExtendedAgentCard, "", ""),
        (Resource::JsonRpc, "POST") => Ok(Target::JsonRpc),
        (Resource::Card, "GET" | "HEAD") => Ok(Target::Card),
        (Resource::PublicKeys, "GET" | "HEAD") => Ok(Target::PublicKeys),
        (Resource::OpenApi, "GET" | "HEAD") => Ok(Target::OpenApi),
        (Resource::Health, "GET" | "HEAD") => Ok(Target::Health),
        (other, _) => Err(Miss::NotAllowed(allowed(other))),
    }
}

fn allowed(resource: Resource<'_>) -> &'static str {
    match resource {
        Resource::Send | Resource::Stream | Resource::Cancel(_) | Resource::JsonRpc => "POST",
        Resource::Tasks | Resource::Task(_) | Resource::ExtendedCard => "GET",
        Resource::Subscribe(_) | Resource::Configs(_) => "GET, POST",
        Resource::Config(..) => "GET, DELETE",
        Resource::Card | Resource::PublicKeys | Resource::OpenApi | Resource::Health => "GET, HEAD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(verb: &Verb, path: &str) -> String {
        match route(verb, path, |name| name == "echo") {
            Ok(Route { agent, target }) => {
                let agent = agent.unwrap_or("-");
                match target {
                    Target::Operation { method, names } => {
                        format!("{agent} {} {:?} {:?}", method.as_str(), names.task, names.config)
                    }
                    other => format!("{agent} {other:?}"),
                }
            }
            Err(Miss::Malformed(_)) => "malformed".to_owned(),
            Err(miss) => format!("{miss:?}"),
        }
    }

    #[test]
    fn every_route_with_and_without_an_agent_and_a_slash() {
        for (verb, path, expected) in [
            (Verb::POST, "/message:send", r#"SendMessage "" """#),
            (Verb::POST, "/message:stream", r#"SendStreamingMessage "" """#),
            (Verb::GET, "/tasks", r#"ListTasks "" """#),
            (Verb::GET, "/tasks/a", r#"GetTask "a" """#),
            (Verb::POST, "/tasks/a:cancel", r#"CancelTask "a" """#),
            (Verb::GET, "/tasks/a:subscribe", r#"SubscribeToTask "a" """#),
            (Verb::POST, "/tasks/a:subscribe", r#"SubscribeToTask "a" """#),
            (
                Verb::GET,
                "/tasks/a/pushNotificationConfigs",
                r#"ListTaskPushNotificationConfigs "a" """#,
            ),
            (
                Verb::POST,
                "/tasks/a/pushNotificationConfigs",
                r#"CreateTaskPushNotificationConfig "a" """#,
            ),
            (
                Verb::GET,
                "/tasks/a/pushNotificationConfigs/b",
                r#"GetTaskPushNotificationConfig "a" "b""#,
            ),
            (
                Verb::DELETE,
                "/tasks/a/pushNotificationConfigs/b",
                r#"DeleteTaskPushNotificationConfig "a" "b""#,
            ),
            (Verb::GET, "/extendedAgentCard", r#"GetExtendedAgentCard "" """#),
            (Verb::GET, "/.well-known/agent-card.json", "Card"),
            (Verb::POST, "/rpc", "JsonRpc"),
        ] {
            assert_eq!(find(&verb, path), format!("- {expected}"), "{path}");
            assert_eq!(
                find(&verb, &format!("{path}/")),
                format!("- {expected}"),
                "{path}/"
            );
            assert_eq!(
                find(&verb, &format!("/echo{path}")),
                format!("echo {expected}"),
                "/echo{path}"
            );
        }
        assert_eq!(find(&Verb::POST, "/"), "- JsonRpc");
        assert_eq!(find(&Verb::POST, "/echo"), "echo JsonRpc");
        assert_eq!(find(&Verb::POST, "/echo/"), "echo JsonRpc");
        assert_eq!(find(&Verb::GET, "/other/tasks"), r#"other ListTasks "" """#);
        assert_eq!(find(&Verb::HEAD, "/openapi.json"), "- OpenApi");
        assert_eq!(find(&Verb::GET, "/.well-known/jwks.json"), "- PublicKeys");
        assert_eq!(find(&Verb::GET, "/healthz"), "- Health");
    }

    #[test]
    fn an_id_never_becomes_another_route() {
        for (path, expected) in [
            ("/tasks/..", r#"- GetTask ".." """#),
            ("/tasks/a%2Fb", r#"- GetTask "a/b" """#),
            ("/tasks/a%252Fb", r#"- GetTask "a%2Fb" """#),
            ("/tasks/%2e%2e%2fhealthz", r#"- GetTask "../healthz" """#),
            ("/tasks/%00", r#"- GetTask "\0" """#),
            ("/tasks/a%3Acancel", r#"- GetTask "a:cancel" """#),
            ("/tasks/urn:x:1", r#"- GetTask "urn:x:1" """#),
            ("/tasks/%ff", "malformed"),
            ("/tasks/../healthz", "Unknown"),
            ("/../tasks", "Unknown"),
            ("/%2e%2e/tasks", "Unknown"),
            ("/tasks//a", "Unknown"),
            ("//tasks", "Unknown"),
            ("/tasks/a/b", "Unknown"),
            ("/tasks/:cancel", "Unknown"),
            ("/a/b/c/d/e/f/g", "Unknown"),
            ("/nobody", "Unknown"),
            ("/echo/healthz", "Unknown"),
            ("/echo/.well-known/jwks.json", "Unknown"),
            ("/echo/echo/tasks", "Unknown"),
            ("//", "Unknown"),
        ] {
            assert_eq!(find(&Verb::GET, path), expected, "{path}");
        }
    }

    #[test]
    fn a_wrong_verb_names_the_right_ones() {
        for (verb, path, allow) in [
            (Verb::GET, "/message:send", "POST"),
            (Verb::PUT, "/tasks", "GET"),
            (Verb::DELETE, "/tasks/a", "GET"),
            (Verb::GET, "/tasks/a:cancel", "POST"),
            (Verb::DELETE, "/tasks/a:subscribe", "GET, POST"),
            (Verb::PUT, "/tasks/a/pushNotificationConfigs/b", "GET, DELETE"),
            (Verb::GET, "/rpc", "POST"),
            (Verb::POST, "/echo/.well-known/agent-card.json", "GET, HEAD"),
        ] {
            assert_eq!(
                route(&verb, path, |name| name == "echo"),
                Err(Miss::NotAllowed(allow)),
                "{verb} {path}"
            );
        }
    }
}
