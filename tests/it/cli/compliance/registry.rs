//! The requirements of the a2a-cli specification 0.2, each in a line of our own, with the check that decides.

use super::checks::{
    auth, cards, defaults, interaction, login, output, polling, push, sending, tasks, tools, transport,
};
use super::world::{Checked, World};

type Check = fn(&World) -> Checked;

/// One requirement.
pub struct Requirement {
    pub id: &'static str,
    pub tier: u8,
    /// Sections of the a2a-cli specification.
    pub spec: &'static str,
    pub line: &'static str,
    pub check: Check,
}

const fn row(
    id: &'static str,
    tier: u8,
    spec: &'static str,
    line: &'static str,
    check: Check,
) -> Requirement {
    Requirement {
        id,
        tier,
        spec,
        line,
        check,
    }
}

/// All 66. One row a line, to be compared with the specification's tables.
#[rustfmt::skip]
pub const REQUIREMENTS: [Requirement; 66] = [
    row("A2ACLI_CARD_GET_001", 1, "10.1, 13", "card get takes a host, a URL or a file, and the card decides the transport", cards::get),
    row("A2ACLI_SEND_001", 1, "10.2", "send begins an interaction", sending::starts),
    row("A2ACLI_SEND_002", 1, "10.2, 6.5", "send waits; with --async it gives the identifiers at once", sending::waits),
    row("A2ACLI_SEND_003", 1, "10.2, 9.2", "--stream follows events, does not hang without them, and ends well with a message", sending::streams),
    row("A2ACLI_SEND_004", 1, "10.2", "artifacts are rendered and no part is left out", sending::renders),
    row("A2ACLI_SEND_005", 1, "10.2", "--media-type belongs to the part before it; types are inferred only without it", sending::media_types),
    row("A2ACLI_SEND_006", 1, "10.2", "parts are repeatable and keep their order; --data - reads standard input", sending::parts),
    row("A2ACLI_TASK_GET_001", 1, "10.3", "task get shows state, artifacts, and history if asked for", tasks::get),
    row("A2ACLI_TASK_CANCEL_001", 1, "10.4", "task cancel cancels, may be repeated, and reports the state", tasks::cancel),
    row("A2ACLI_INTERACT_001", 1, "8.1", "--context-id goes on in a context", interaction::by_context),
    row("A2ACLI_INTERACT_002", 1, "8.1", "--task-id goes on with a task; what is rejected fails and begins nothing", interaction::by_task),
    row("A2ACLI_INTERACT_003", 1, "4.1, 4", "no identifier of the server is invented, and a context is no session", interaction::invents_nothing),
    row("A2ACLI_INTERACT_004", 1, "8.2", "identifiers and state are reported, with the command that goes on", interaction::says_how_to_go_on),
    row("A2ACLI_INTERACT_005", 1, "6.3, 4.1, 8.3", "nothing is remembered from one run to the next", interaction::is_stateless),
    row("A2ACLI_TASK_POLL_001", 1, "9.3", "task get asks once, with --wait until there is nothing to wait for", polling::available),
    row("A2ACLI_TASK_POLL_002", 1, "9.3", "--poll-interval and --timeout hold; no busy loop; the task is named before", polling::bounded),
    row("A2ACLI_TASK_POLL_003", 1, "9.1, 9.3", "waiting stops at interrupted states and goes on at an unknown one", polling::stops),
    row("A2ACLI_TASK_POLL_004", 1, "9.3", "a wait whose stream fails goes on by asking", polling::falls_back),
    row("A2ACLI_OUT_001", 1, "11.1, 11.5, 8.2", "each answer about a task names task, context and state; only data on standard output", tasks::identified_everywhere),
    row("A2ACLI_OUT_002", 1, "11.3, B", "-o json is one document, the terminal object, and never a stream by accident", output::one_document),
    row("A2ACLI_OUT_003", 1, "11.3, 11.4, B", "-o json --stream is a document a line, the end or the error last", output::documents),
    row("A2ACLI_OUT_004", 1, "11.4, B, D", "errors are the same on each transport, by the protocol's names or this side's codes", output::errors),
    row("A2ACLI_OUT_005", 1, "11.2, 6.1", "text is fields and blocks without control sequences, and nobody is asked without a terminal", output::text_floor),
    row("A2ACLI_OUT_006", 1, "11.5", "--async gives what is needed to ask later", sending::identifiers_at_once),
    row("A2ACLI_EXIT_001", 1, "11.6, D", "exit statuses mean what they must and agree with the error", output::exit_codes),
    row("A2ACLI_EXIT_002", 1, "6.6, 11.6", "the agent's outcome is no failure of the program; it is warned of", output::outcomes),
    row("A2ACLI_AUTH_001", 1, "12.1", "bearer tokens and API keys go as the card's scheme says; --svc-param is apart", auth::attached),
    row("A2ACLI_AUTH_002", 1, "12.1, 6.5", "each credential has a variable, and the help says who sees arguments", auth::environment),
    row("A2ACLI_AUTH_003", 1, "12.1, 6.5", "--insecure warns, and once more of credentials; TLS is verified otherwise", auth::insecure),
    row("A2ACLI_AUTH_004", 1, "12.1, 7.2", "no secret is in any output, whatever is asked for", auth::redacted),
    row("A2ACLI_TX_001", 1, "13.1", "the transport comes from the card, in its order", transport::by_card),
    row("A2ACLI_TX_002", 1, "13.1, 6.5", "--transport is repeatable and ordered; without it the first known interface counts", transport::by_preference),
    row("A2ACLI_TX_003", 1, "13.1", "the interface's tenant is in every request, and none where none is declared", transport::tenant),
    row("A2ACLI_VER_001", 1, "13.2", "each request names its version; nothing before 1.0 is spoken", transport::version),
    row("A2ACLI_DEFAULT_001", 1, "6.5", "each default is there, is shown, and can be overridden", defaults::all),
    row("A2ACLI_CONFIG_001", 1, "8.3", "settings stand in the usual place, safe, to be seen and edited, without sessions", tools::persisted),
    row("A2ACLI_CLI_001", 1, "7.1, 7.2, 6.5", "help and --version; the help shows the defaults in effect", tools::help),
    row("A2ACLI_SKILL_001", 1, "14.1, 14.2", "one skill, small and general, that leads to the help", tools::skill),
    row("A2ACLI_SKILL_002", 1, "14.3", "the skill says how to use the program and restates no requirement", tools::skill_is_guidance),
    row("A2ACLI_CARD_GET_002", 2, "10.1", "card get --validate checks the card against the schema", cards::validate),
    row("A2ACLI_TASK_LIST_001", 2, "7.1, A", "task list has pages with a cursor, and filters by state and context", tasks::list),
    row("A2ACLI_TASK_SUBSCRIBE_001", 2, "7.1, 9.2", "task subscribe follows a task's events", tasks::subscribe),
    row("A2ACLI_TASK_SUBSCRIBE_002", 2, "9.4, 9.2", "a broken stream is taken up again, with the whole task first", tasks::resumes),
    row("A2ACLI_AUTH_005", 2, "12.2", "auth login by device code", login::device),
    row("A2ACLI_AUTH_006", 2, "12.2", "auth login by client credentials", login::client_credentials),
    row("A2ACLI_AUTH_007", 2, "12.2", "tokens are kept safe, shown to their agent alone, and renewed", login::kept),
    row("A2ACLI_TX_004", 2, "13.1", "several transports, each of which can be chosen", transport::several),
    row("A2ACLI_VER_003", 2, "13.3", "what the card does not declare is not called", cards::capabilities),
    row("A2ACLI_CONFIG_002", 2, "8.3", "option, environment, local file, global file, default; config show names the source", tools::precedence),
    row("A2ACLI_DOWNLOAD_001", 2, "7.1", "task download saves artifacts", tasks::download),
    row("A2ACLI_OUT_007", 2, "7.2", "--debug shows on standard error what goes over the wire", tools::debug),
    row("A2ACLI_CONFORM_001", 2, "7.1", "conformance looks at a live agent", tools::conformance),
    row("A2ACLI_CLI_002", 2, "7.1", "completion writes a script for a shell", tools::completion),
    row("A2ACLI_PUSH_001", 2, "7.1, A", "push configurations are created, shown, listed and deleted", push::configurations),
    row("A2ACLI_CARD_GET_003", 3, "10.1, 12.4", "the extended card, with a scheme of the public card", cards::extended),
    row("A2ACLI_AUTH_008", 3, "12.4", "no card endpoint sees a credential that it has no scheme for", auth::not_for_cards),
    row("A2ACLI_CARD_GET_004", 3, "10.1", "signatures of cards are verified, unverifiable or absent, and said to be so", cards::signature),
    row("A2ACLI_CARD_GET_005", 3, "10.1", "a catalog's entry goes wherever a reference does", cards::catalog),
    row("A2ACLI_PUSH_002", 3, "9.2", "a webhook on this machine takes push notifications", push::receiver),
    row("A2ACLI_CHAT_001", 3, "8.1, 7.1", "chat carries context and task from turn to turn", interaction::chat),
    row("A2ACLI_TX_005", 3, "13.1", "gRPC", transport::grpc),
    row("A2ACLI_AUTH_009", 3, "12.3", "mutual TLS", auth::certificates),
    row("A2ACLI_AUTH_010", 3, "12.3", "OpenID Connect", login::openid),
    row("A2ACLI_AUTH_011", 3, "12.3", "a task that waits for a sign-in is gone on with", login::in_task),
    row("A2ACLI_DEMO_SERVER_001", 3, "7.1, 3", "demo-server runs agents to try the commands on", tools::demo_server),
    row("A2ACLI_VER_002", 3, "13.3", "extensions that the server requires are declared", cards::extensions),
];

/// The defaults of section 6.5: the key in the report, what it is, and the check of it and of what overrides it.
pub const DEFAULTS: [(&str, &str, Check); 6] = [
    (
        "transport_server_preference_order",
        "Transport: the card's order",
        defaults::transport_order,
    ),
    ("task_completion_wait", "Task completion: wait", defaults::waiting),
    ("output_text", "Output: text", defaults::output_text),
    ("detail_concise", "Detail: concise", defaults::concise),
    (
        "protocol_version_highest_mutual",
        "Protocol version: the highest of both, never below 1.0",
        defaults::version,
    ),
    (
        "transport_security_tls_verification",
        "Transport security: TLS is verified; --insecure warns",
        defaults::tls,
    ),
];

/// The codes of appendix D, with a run that ends with each.
pub const CODES: [(&str, Check); 8] = [
    ("A2ACLI_ERR_USAGE", |world| {
        world
            .user()
            .fails(&["send", "--transport", "pigeon"], "A2ACLI_ERR_USAGE", 2)
            .map(drop)
    }),
    ("A2ACLI_ERR_CARD_NOT_FOUND", |world| {
        let url = format!("{}/nobody", world.server.url());
        world
            .user()
            .fails(&["card", "get", "-a", &url], "A2ACLI_ERR_CARD_NOT_FOUND", 3)
            .map(drop)
    }),
    ("A2ACLI_ERR_CARD_INVALID", |world| cards::broken(world).map(drop)),
    ("A2ACLI_ERR_UNREACHABLE", |world| {
        world
            .user()
            .fails(&["card", "get", "-a", "127.0.0.1:1"], "A2ACLI_ERR_UNREACHABLE", 3)
            .map(drop)
    }),
    ("A2ACLI_ERR_CREDENTIALS_MISSING", |world| {
        auth::missing(world).map(drop)
    }),
    ("A2ACLI_ERR_AUTH_FAILED", |world| auth::rejected(world).map(drop)),
    ("A2ACLI_ERR_TIMEOUT", |world| {
        let send = [
            "send",
            "-a",
            &world.agent("bench"),
            "hold:600",
            "--timeout",
            "300ms",
        ];
        world.user().fails(&send, "A2ACLI_ERR_TIMEOUT", 5).map(drop)
    }),
    ("A2ACLI_ERR_INTERNAL", |world| output::internal(world).map(drop)),
];

/// `CARD_GET` of `A2ACLI_CARD_GET_001`.
pub fn area(id: &str) -> &str {
    let inner = id.strip_prefix("A2ACLI_").unwrap_or(id);
    inner.rsplit_once('_').map_or(inner, |(area, _)| area)
}
