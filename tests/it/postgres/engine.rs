//! The tests of the engine that look at no lease, over PostgreSQL; `engine::timed` has those that do. Tests that pause
//! the clock of their runtime stay in memory, because a database has its own, and so do two that open hundreds of
//! databases.

/// Makes a test of each test of a module of the engine's.
macro_rules! on_postgres {
    ($module:ident: $($test:ident),* $(,)?) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    crate::support::backend::on_postgres(crate::engine::$module::$test);
                }
            )*
        }
    };
}

on_postgres!(cancel:
    a_running_task_is_canceled_and_its_execution_dropped,
    a_task_that_waits_is_canceled,
    a_task_that_ended_otherwise_is_not_cancelable,
    an_agent_may_refuse_and_its_task_goes_on,
    parting_words_stand_in_the_last_status,
    a_panic_counts_as_consent,
    an_agent_that_writes_without_end_is_canceled,
);
on_postgres!(messages:
    messages_to_a_working_task_run_in_order,
    an_answer_continues_a_task_that_asked,
    the_inbox_of_a_task_is_bounded,
    messages_count_towards_the_size_of_a_task,
    messages_that_fit_nowhere_are_refused,
    a_message_needs_a_free_execution,
    an_answer_may_come_before_the_asking_execution_is_over,
    a_repeated_message_is_heard_once,
    commands_find_a_writer_whenever_they_come,
);
on_postgres!(streams:
    a_stream_begins_with_the_task_and_ends_with_it,
    a_subscriber_gets_the_task_and_what_follows,
    a_cursor_gets_exactly_what_is_later,
    a_slow_reader_falls_back_to_the_log,
    all_readers_see_the_same,
    a_stream_outlives_a_question_unless_the_agent_says_otherwise,
    an_answer_may_be_streamed,
    a_dropped_reader_or_caller_does_not_stop_the_task,
    draining_ends_streams_with_their_cursor,
);
on_postgres!(turns:
    an_agent_that_only_computes_costs_one_commit,
    a_caller_is_answered_when_the_task_is_accepted_or_settled,
    an_agent_that_returns_without_a_result_fails_its_task,
    an_update_that_the_protocol_forbids_fails_the_task,
    a_panic_fails_one_task_and_no_other,
    an_error_fails_the_task_with_its_public_text,
    updates_behind_the_end_are_ignored,
    executions_are_bounded_per_agent,
    a_direct_answer_leaves_no_task,
    a_direct_answer_behind_an_update_is_a_fault,
    a_direct_answer_under_a_key_completes_the_task,
    one_key_at_once_runs_the_agent_once,
    an_agent_waits_for_the_database_and_its_log_is_bounded,
);
