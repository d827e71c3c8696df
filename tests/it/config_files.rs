//! Configuration as an operator meets it: files, variables and flags, the errors, and what is printed.

use std::path::{Path, PathBuf};

use a2ad::config::{
    AgentConfig, Backend, ClientCertificates, Config, Database, DatabaseUrl, Error, Idempotency, Loaded,
    Loader, LogFormat, Source, TrustDomain, reference,
};

/// A file that lives as long as the test.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a2ad.toml");
    std::fs::write(&path, text).expect("written");
    File {
        _folder: folder,
        path,
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn load_text(text: &str) -> Result<Loaded, Error> {
    Loader::new().file(&file(text).path).load()
}

fn refused(result: Result<Loaded, Error>) -> String {
    result.expect_err("refused").to_string()
}

/// Each of `parts` occurs in `text`.
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn the_defaults_are_valid_and_as_documented() {
    let loaded = Loader::new().load().expect("valid");
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.sources.is_empty());
    let Config {
        server,
        limits,
        database,
        tls,
        ..
    } = loaded.config;
    assert_eq!(server.listen.to_string(), "127.0.0.1:8420");
    assert_eq!(
        (server.body_bytes_max, server.streams_per_connection_max),
        (4 * 1024 * 1024, 256)
    );
    assert_eq!(
        (limits.depth_max, limits.page_size_max, limits.idempotency_ttl_ms),
        (24, 100, 86_400_000)
    );
    assert_eq!(database.backend(), Ok(Backend::Sqlite("a2ad.db".into())));
    assert!(!tls.is_on() && tls.client_certificates == ClientCertificates::Required);
}

#[test]
fn flags_beat_variables_beat_the_file_beats_defaults() {
    let file = file("[limits]\nparts_max = 1\nnodes_max = 1\ndepth_max = 1\n");
    let loaded = Loader::new()
        .set("limits.parts_max", 3)
        .env(variables(&[
            ("A2AD__LIMITS__PARTS_MAX", "2"),
            ("a2ad__limits__Nodes_Max", "2"),
            ("HOME", "/"),
        ]))
        .file(&file.path)
        .load()
        .expect("valid");
    let limits = &loaded.config.limits;
    assert_eq!(
        (
            limits.parts_max,
            limits.nodes_max,
            limits.depth_max,
            limits.artifacts_max
        ),
        (3, 2, 1, 1_000)
    );
    let source = |key: &str| loaded.sources.get(key).cloned();
    assert_eq!(source("limits.parts_max"), Some(Source::Flag));
    assert_eq!(
        source("limits.nodes_max"),
        Some(Source::Variable("a2ad__limits__Nodes_Max".to_owned()))
    );
    assert_eq!(source("limits.depth_max"), Some(Source::File(file.path.clone())));
    assert_eq!(source("limits.artifacts_max"), None);
}

#[test]
fn variables_of_every_type_are_read() {
    let loaded = Loader::new()
        .env(variables(&[
            ("A2AD__SERVER__LISTEN", "[::1]:9000"),
            ("A2AD__SERVER__STRICT_VERSION", "true"),
            (
                "A2AD__SERVER__CORS_ORIGINS",
                r#"["https://a.example", "https://b.example:8443"]"#,
            ),
            ("A2AD__SERVER__DRAIN_DELAY_MS", "5_000"),
            ("A2AD__SERVER__PAGE_TOKEN_KEY", &"0a".repeat(32)),
            ("A2AD__DATABASE__URL", "memory"),
            ("A2AD__LOG__FORMAT", "json"),
            ("A2AD__LOG__FILTER", "warn"),
            ("A2AD__DEFAULT_AGENT", "7"),
            ("A2AD__AGENTS__ECHO__STREAMING", "false"),
            ("A2AD__AGENTS__ECHO__VERSION", "1.10"),
            ("A2AD__AGENTS__ECHO__IDEMPOTENCY", "message-id"),
            ("A2AD__AGENTS__ECHO__PROVIDER__URL", "https://example.com"),
            ("A2AD__AGENTS__ECHO__PROVIDER__ORGANIZATION", "Example"),
        ]))
        .load()
        .expect("valid");
    let Config {
        server,
        database,
        log,
        default_agent,
        agents,
        ..
    } = loaded.config;
    assert_eq!(server.listen.to_string(), "[::1]:9000");
    assert!(server.strict_version);
    assert_eq!(
        server.cors_origins,
        ["https://a.example", "https://b.example:8443"]
    );
    assert_eq!(server.drain_delay_ms, 5_000);
    assert_eq!(
        server.page_token_key_bytes().map(|key| *key.expose()),
        Some([10; 32])
    );
    assert_eq!(database.backend(), Ok(Backend::Memory));
    assert_eq!(
        (log.format, log.filter.as_str(), default_agent.as_deref()),
        (LogFormat::Json, "warn", Some("7"))
    );
    let echo = &agents["echo"];
    assert_eq!(
        (echo.streaming, echo.version.as_deref()),
        (Some(false), Some("1.10"))
    );
    assert_eq!(echo.idempotency, Idempotency::MessageId);
    assert_eq!(
        echo.provider
            .as_ref()
            .map(|provider| provider.organization.as_str()),
        Some("Example")
    );
}

#[test]
fn a_variable_overrides_the_agent_of_a_file_whatever_its_case() {
    let file = file("[agents.My-Agent]\ntitle = 'a'\n[agents.bare]\n");
    let loader = Loader::new()
        .file(&file.path)
        .env(variables(&[("A2AD__AGENTS__MY_AGENT__TITLE", "b")]));
    let loaded = loader.load().expect("valid");
    assert_eq!(
        loaded.config.agents.keys().collect::<Vec<_>>(),
        ["My-Agent", "bare"]
    );
    assert_eq!(loaded.config.agents["My-Agent"].title.as_deref(), Some("b"));
    assert_eq!(loaded.config.agents["bare"], AgentConfig::default());
}

#[test]
fn unknown_keys_of_a_file_are_refused_at_every_depth_and_all_at_once() {
    let file = file(
        "lissten = 1\n[servre]\nx = 1\n[server]\nlissten = 'x'\ncolour = 1\n[limits]\nlisten = 'x'\n\
         [agents.echo]\nstreeming = true\n[agents.echo.provider]\norganisation = 'x'\nurl = 'https://a.example'\n",
    );
    let error = Loader::new().file(&file.path).load().expect_err("refused");
    let text = error.to_string();
    assert_says(
        &text,
        &[
            "`lissten`",
            "`servre` in",
            "did you mean `server`?",
            "`server.lissten` in",
            "did you mean `server.listen`?",
            "`server.colour` in",
            "there are listen, public_url",
            "`limits.listen` in",
            "`agents.echo.streeming` in",
            "did you mean `agents.echo.streaming`?",
            "`agents.echo.provider.organisation` in",
            "did you mean `agents.echo.provider.organization`?",
            &file.path.display().to_string(),
        ],
    );
    // The eighth: the provider has no organization, as far as we could read it.
    assert_eq!(error.problems().len(), 8, "{text}");
}

#[test]
fn unknown_keys_of_variables_and_flags_are_refused_by_their_name() {
    let variable = |name: &str| refused(Loader::new().env(variables(&[(name, "1")])).load());
    assert_says(
        &variable("A2AD__SERVER__LISSTEN"),
        &[
            "`server.lissten` in A2AD__SERVER__LISSTEN",
            "did you mean A2AD__SERVER__LISTEN?",
        ],
    );
    assert_says(
        &variable("A2AD__AGENTS__ECHO__TITEL"),
        &["did you mean A2AD__AGENTS__ECHO__TITLE?"],
    );
    assert_says(&variable("A2AD__"), &["in A2AD__", "unknown key"]);
    assert_says(
        &variable("A2AD__SERVER"),
        &["`server` in A2AD__SERVER", "expected a table"],
    );
    assert_says(
        &variable("A2AD__SERVER__LISTEN__X"),
        &["`server.listen` in", "expected an IP address"],
    );
    assert_says(
        &refused(Loader::new().set("limits.dept_max", 1).load()),
        &["`limits.dept_max` in a flag", "did you mean `limits.depth_max`?"],
    );
}

#[test]
fn one_key_by_two_variables_is_refused() {
    let twice = variables(&[("A2AD__LIMITS__PARTS_MAX", "1"), ("a2ad__limits__parts_max", "2")]);
    assert_says(
        &refused(Loader::new().env(twice).load()),
        &["A2AD__LIMITS__PARTS_MAX as well"],
    );
}

#[test]
fn wrong_types_name_key_source_and_what_is_expected() {
    let text = refused(load_text(
        "server = 1\n[limits]\nparts_max = 'many'\ndepth_max = 2.5\n[tls]\ncrl_files = 'x'\nclient_certificates = 'maybe'\n\
         [log]\nfilter = 1\n[agents]\necho = true\n",
    ));
    assert_says(
        &text,
        &[
            "`server` in",
            "is of type integer; expected a table of keys",
            "`limits.parts_max` in",
            "is of type string; expected a whole number from 1 to 100000",
            "is of type float; expected a whole number from 1 to 24",
            "`tls.crl_files` in",
            "expected an array of strings",
            "expected one of \"required\", \"optional\", \"off\"",
            "`log.filter` in",
            "`agents.echo` in",
            "has 7 problems",
        ],
    );
    let text = refused(
        Loader::new()
            .env(variables(&[("A2AD__SERVER__STRICT_VERSION", "yes")]))
            .load(),
    );
    assert_says(
        &text,
        &[
            "`server.strict_version` in A2AD__SERVER__STRICT_VERSION",
            "expected true or false",
        ],
    );
    let text = refused(Loader::new().set_text("server.listen", "localhost:8420").load());
    assert_says(&text, &["`server.listen` in a flag", "127.0.0.1:8420"]);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (key, value) in [
        ("limits.depth_max", 25),
        ("limits.page_size_max", 101),
        ("limits.parts_max", 0),
        ("server.body_bytes_max", -1),
        ("server.connections_max", i64::MAX),
    ] {
        assert_says(
            &refused(Loader::new().set(key, value).load()),
            &[key, "in a flag", "is out of range; expected"],
        );
    }
}

#[test]
fn a_configuration_made_in_code_is_measured_as_well() {
    let mut config = Config::default();
    config.limits.parts_max = 0;
    config.limits.depth_max = 25;
    config.limits.page_size_default = 60;
    config.limits.page_size_max = 50;
    let error = config.validate().expect_err("refused");
    let keys: Vec<&str> = error
        .problems()
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["limits.depth_max", "limits.parts_max", "limits.page_size_default"]
    );
    config.server.drain_delay_ms = u64::MAX;
    assert!(config.validate().is_err());
}

/// A file has no other process that could take a task over, however long it hangs.
#[test]
fn a_short_lease_is_fine_where_nothing_hangs_for_longer() {
    for (url, lease_ms) in [
        ("memory", 1_000),
        ("sqlite://a2ad.db", 1_000),
        ("postgres://db/a2ad", 22_501),
    ] {
        let mut config = Config::default();
        config.database.url = url.into();
        config.execution.lease_ms = lease_ms;
        config.validate().unwrap();
    }
}

#[test]
fn contradictions_are_refused_with_what_to_write() {
    for (text, parts) in [
        (
            "[server]\nlisten = '0.0.0.0:1'",
            &["`server.listen` in", "allow_plaintext = true"][..],
        ),
        (
            "[execution]\nlease_ms = 22500\n[database]\nurl = 'postgres://db/a2ad'",
            &[
                "`execution.lease_ms` in",
                "commit_timeout_ms (10000)",
                "connect_timeout_ms (5000)",
                "raise it above 22500",
            ],
        ),
        (
            "[push]\nallowed_networks = ['10.1.0.0/16', '10.1.2.3/16']",
            &[
                "`push.allowed_networks` in",
                "`10.1.2.3/16` is no network",
                "behind its length",
            ],
        ),
        (
            "[egress]\nidle_timeout_ms = 10000",
            &[
                "`egress.idle_timeout_ms` in",
                "connect_timeout_ms, which is 10000",
            ],
        ),
        (
            "[secrets]\nprevious_keys = 'hunter2'",
            &[
                "`secrets.previous_keys` in",
                "openssl rand -hex 32",
                "without secrets.key",
                "has 2 problems",
            ],
        ),
        ("[secrets]\nkey = '***'", &["`secrets.key` in", "is the mask"]),
        (
            "[tls]\nkey_file = 'k'",
            &["`tls.key_file` in", "without tls.cert_file"],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'",
            &["`tls.key_file`:", "`tls.client_ca_file`:", "has 2 problems"],
        ),
        (
            "[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_certificates = 'off'\ncrl_files = ['r']",
            &["`tls.crl_files` in"],
        ),
        (
            "[tls]\nclient_names = 'dns'\n[tls.trust_domains.'example.org']",
            &[
                "`tls.client_names` in",
                "`tls.trust_domains`:",
                "without tls.cert_file",
                "has 2 problems",
            ],
        ),
        (
            "[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\nclient_certificates = 'off'\n\
             client_names = 'dns'\n[tls.trust_domains.'example.org']",
            &[
                "`tls.client_names` in",
                "`tls.trust_domains`:",
                "client_certificates is \"off\"",
                "has 2 problems",
            ],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\nclient_names = 'common-name'",
            &["`tls.client_names` in", "\"spiffe-or-dns\", \"spiffe\", \"dns\""],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\nclient_names = 'spiffe'",
            &[
                "`tls.trust_domains`:",
                "[tls.trust_domains.\"example.org\"]",
                "has a problem",
            ],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\nclient_names = 'dns'\n\
             [tls.trust_domains.'example.org']",
            &["`tls.trust_domains`:", "client_names is \"dns\"", "has a problem"],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_names = 'spiffe'\n[tls.trust_domains.'example.org']",
            &["`tls.client_ca_file`:", "has a problem"],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\n[tls.trust_domains.'example.org']\nca_file = 'a'",
            &["`tls.client_ca_file`:", "has a problem"],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\ncrl_files = ['r']\nclient_names = 'spiffe'\n\
             [tls.trust_domains.'example.org']\nca_file = 'b'",
            &[
                "`tls.client_ca_file` in",
                "`tls.crl_files` in",
                "only SPIFFE ids count",
                "has 2 problems",
            ],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\n[tls.trust_domains.'example.org']\n\
             crl_files = ['r']",
            &[
                "`tls.trust_domains.\"example.org\".crl_files` in",
                "tls.crl_files",
                "has a problem",
            ],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\n\
             [tls.trust_domains.'spiffe://example.org']\n[tls.trust_domains.'Example.org']\n[tls.trust_domains.'']",
            &["in lower case", "has 3 problems"],
        ),
        (
            "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\n[tls.trust_domains.a]\nca_fil = 'x'",
            &[
                "`tls.trust_domains.a.ca_fil` in",
                "did you mean `tls.trust_domains.a.ca_file`?",
            ],
        ),
        (
            "[database]\ncommitters = 0",
            &["`database.committers` in", "from 1 to 64"],
        ),
        (
            "[database]\nurl = 'mysql://u:hunter2@db/a'",
            &["`database.url` in", "sqlite://PATH"],
        ),
        (
            "[server]\npublic_url = 'agents.example.com'",
            &["`server.public_url` in", "https://"],
        ),
        (
            "[server]\npublic_url = 'https://u:hunter2@a.example'",
            &["credentials"],
        ),
        ("[server]\npublic_url = 'https://a.example/?x'", &["cut the `?`"]),
        (
            "[server]\ncors_origins = ['https://a.example/']",
            &["`server.cors_origins` in", "scheme and host only"],
        ),
        (
            "[server]\npage_token_key = 'hunter2'",
            &["`server.page_token_key` in", "openssl rand -hex 32"],
        ),
        ("[server]\npage_token_key = '***'", &["is the mask"]),
        (
            "[server]\nbody_bytes_max = 2048",
            &["`limits.part_bytes_max`:", "2048"],
        ),
        (
            "[limits]\ntask_bytes_max = 2048",
            &["`limits.task_bytes_max` in", "4194304"],
        ),
        (
            "[limits]\nbatch_requests_max = 2",
            &["`limits.batch_concurrency_max`:"],
        ),
        (
            "[log]\nfilter = 'a2ad=loudly'",
            &["`log.filter` in", "info,a2ad::server=debug"],
        ),
        ("default_agent = ''", &["`default_agent` in"]),
        (
            "[agents.echo]\nicon_url = 'data:x'",
            &["`agents.echo.icon_url` in"],
        ),
        (
            "[agents.echo.provider]\nurl = 'https://a.example'",
            &["`agents.echo.provider.organization`:"],
        ),
    ] {
        let error = refused(load_text(text));
        assert_says(&error, parts);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn files_that_cannot_be_read_say_why_and_show_no_secret() {
    let text = refused(Loader::new().file("/nonexistent/a2ad.toml").load());
    assert_says(&text, &["/nonexistent/a2ad.toml", "check the path"]);
    let text = refused(load_text("[server]\n\npage_token_key = hunter2 oops\n"));
    assert_says(&text, &["is not valid TOML, line 3"]);
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn what_is_printed_names_its_sources_and_loads_again() {
    let file = file(
        "[limits]\nparts_max = 7\n[agents.echo]\ntitle = \"a \\\"b\\\"\"\n[agents.echo.provider]\nurl = 'https://a.example'\norganization = 'A'\n",
    );
    let loaded = Loader::new()
        .file(&file.path)
        .env(variables(&[
            ("A2AD__SERVER__LISTEN", "127.0.0.1:9000"),
            ("A2AD__SERVER__CORS_ORIGINS", "['*']"),
        ]))
        .set("card.max_age_s", 1)
        .load()
        .expect("valid");
    let printed = loaded.to_toml_annotated();
    assert_says(
        &printed,
        &[
            "listen = \"127.0.0.1:9000\"  # from A2AD__SERVER__LISTEN\n",
            "cors_origins = [\"*\"]  # from A2AD__SERVER__CORS_ORIGINS\n",
            &format!("parts_max = 7  # from {}\n", file.path.display()),
            "max_age_s = 1  # from a flag\n",
            "nodes_max = 100000\n",
            "# public_url is not set\n",
            "[agents.echo.provider]\n",
        ],
    );
    assert_eq!(load_text(&printed).expect("loads again").config, loaded.config);
    assert_eq!(load_text(&reference()).expect("loads").config, Config::default());
}

#[test]
fn secrets_show_in_no_rendering() {
    let key = "0123456789abcdef".repeat(4);
    let mut loaded = Loader::new()
        .env(variables(&[("A2AD__SERVER__PAGE_TOKEN_KEY", key.as_str())]))
        .load()
        .expect("valid");
    loaded.config.database.url = DatabaseUrl::new("postgres://u:hunter2@db/a2ad?password=hunter2");
    loaded.config.database.committers = 0;
    let json = serde_json::to_string(&loaded.config).expect("serialises");
    let backend = format!("{:?}", loaded.config.database.backend());
    let invalid = loaded.config.validate().expect_err("refused").to_string();
    for text in [
        loaded.to_toml_annotated(),
        format!("{loaded:?}"),
        format!("{loaded:#?}"),
        json,
        backend,
        invalid,
    ] {
        assert!(!text.contains("hunter2") && !text.contains(&key), "{text}");
    }
    assert_says(
        &loaded.to_toml_annotated(),
        &[
            "page_token_key = \"***\"  # from A2AD__SERVER__PAGE_TOKEN_KEY",
            "postgres://u:***@db/a2ad?password=***",
        ],
    );
}

#[test]
fn trust_domains_are_printed_as_they_were_written() {
    let text = "[access]\ndefault = 'allow'\n[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\nclient_names = 'spiffe'\n\
                [tls.trust_domains.'example.org']\n\
                [tls.trust_domains.'partner.example']\nca_file = 'p'\ncrl_files = ['r']\n";
    let loaded = load_text(text).expect("valid");
    let domains = &loaded.config.tls.trust_domains;
    assert_eq!(domains["example.org"], TrustDomain::default());
    assert_eq!(
        domains["partner.example"].ca_file.as_deref(),
        Some(Path::new("p"))
    );
    let again = load_text(&loaded.to_toml_annotated()).expect("valid");
    assert_eq!(again.config, loaded.config);
    assert_says(
        &reference(),
        &["[tls.trust_domains.NAME]", "client_names = \"spiffe-or-dns\""],
    );
}

/// What the README shows of security is what an operator copies.
#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").expect("a configuration");
    let (text, _) = rest.split_once("```").expect("its end");
    assert!(text.lines().count() <= 11, "an operator reads ten lines");
    let config = load_text(text).expect("valid").config;
    assert_eq!((config.access.roles.len(), config.access.spaces.len()), (4, 1));
    assert!(config.auth.api_keys.enabled && config.takes_certificates());
}

#[test]
fn the_deployed_configuration_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/a2ad.toml");
    let config = Loader::new().file(path).load().expect("valid").config;
    assert!(config.tls.is_on() && config.tls.client_certificates == ClientCertificates::Required);
    assert_eq!(
        Database::parse(config.database.url.expose()),
        Ok(Backend::Sqlite("/var/lib/a2ad/a2ad.db".into()))
    );
    assert!(config.server.listen.ip().is_unspecified() && !config.server.allow_plaintext);
    assert!(
        config
            .server
            .public_url
            .is_some_and(|url| url.starts_with("https://"))
    );
}

#[test]
fn the_unit_waits_longer_than_the_server_drains() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let unit = std::fs::read_to_string(folder.join("a2ad.service")).expect("the unit");
    let stop = unit
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec="))
        .expect("a limit");
    let seconds: u64 = stop.trim_end_matches('s').parse().expect("seconds");
    let server = Loader::new()
        .file(folder.join("a2ad.toml"))
        .load()
        .expect("valid")
        .config
        .server;
    assert!(seconds * 1_000 > server.drain_delay_ms + server.drain_timeout_ms);
}

/// What is written and can't have an effect is a mistake, and the worst ones look like protection.
#[test]
fn what_can_have_no_effect_is_refused() {
    const ISSUER: &str = "[auth.issuers.idp]\nissuer = 'https://idp.example.com'\naudiences = ['a']\n[access]\ndefault = 'allow'\n";
    let hidden = "[agents.echo]\norganisations = ['acme']\n";
    let with = |more: &str| format!("{hidden}{ISSUER}{more}");
    for (text, parts) in [
        (
            "[quotas.principals.'spiffe://example.org/a']\nrequests_burst = 5\n".to_owned(),
            [
                "`quotas.principals.\"spiffe://example.org/a\".requests_burst`",
                "requests_per_minute",
            ],
        ),
        (
            "[quotas.organisations.acme]\nbytes_burst = 5\n".to_owned(),
            ["`quotas.organisations.acme.bytes_burst`", "bytes_per_minute"],
        ),
        (
            "[agents.echo.quota]\nrequests_burst = 5\n".to_owned(),
            ["`agents.echo.quota.requests_burst`", "requests_per_minute"],
        ),
        (
            hidden.to_owned(),
            ["`agents.echo.organisations`", "organisation_claim"],
        ),
        (with(""), ["`agents.echo.organisations`", "auth.api_keys.enabled"]),
        (
            format!(
                "{ISSUER}[auth.issuers.idp2]\nissuer = 'https://b.example.com'\naudiences = ['a']\norganisations = ['acme']\n"
            ),
            ["`auth.issuers.idp2.organisations`", "organisation_claim"],
        ),
    ] {
        assert_says(&refused(load_text(&text)), &parts);
    }
    for more in [
        "[auth.issuers.b]\nissuer = 'https://b.example.com'\naudiences = ['a']\norganisation_claim = 'org'\n",
        "[auth.issuers.b]\nissuer = 'https://b.example.com'\naudiences = ['a']\norganisation = 'acme'\n",
        "[auth.api_keys]\nenabled = true\n",
        "[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'a'\n[auth.certificates]\norganisation = 'trust-domain'\n",
    ] {
        load_text(&with(more)).expect("an organisation can be named");
    }
}
