//! The tests of the engine that depend on a lease, over SQLite and PostgreSQL, which measure leases by their own clocks.
//! Those that pause the clock of their runtime stay in memory.

/// Makes two tests of each test of a module.
macro_rules! on_databases {
    ($module:ident: $($test:ident),* $(,)?) => {
        mod $module {
            mod sqlite {
                $(
                    #[test]
                    fn $test() {
                        crate::support::backend::on_sqlite(crate::engine::$module::$test);
                    }
                )*
            }
            mod postgres {
                $(
                    #[test]
                    fn $test() {
                        crate::support::backend::on_postgres(crate::engine::$module::$test);
                    }
                )*
            }
        }
    };
}

on_databases!(damaged:
    a_damaged_task_is_given_up_once,
    a_message_for_a_damaged_task_is_told_of_the_damage,
    what_cant_be_stored_ends_its_task,
);
on_databases!(deadlines:
    a_task_whose_caller_says_nothing_fails_in_the_end,
    many_waiting_tasks_are_failed_in_batches,
    a_task_that_is_worked_on_does_not_expire,
);
on_databases!(foreign:
    a_message_before_the_sweep_takes_the_task_up_first,
    a_message_before_the_sweep_does_not_revive_what_must_fail,
    a_message_does_not_take_a_task_from_who_holds_it,
    a_message_behind_the_others_end_is_taken,
    a_message_does_not_take_up_what_there_is_no_room_for,
    a_cancel_fences_off_who_holds_the_task,
);
on_databases!(inbox:
    all_messages_of_a_dead_process_are_worked_on_in_order,
    messages_that_were_worked_on_are_not_worked_on_again,
    a_task_that_fails_takes_its_messages_along,
    a_message_that_waits_behind_a_question_is_not_forgotten,
    an_answer_that_waits_for_the_asking_execution_is_not_forgotten,
    a_task_with_a_message_that_waits_does_not_expire,
);
on_databases!(leases:
    a_task_is_taken_up_when_its_process_died_and_not_before,
    a_holder_that_comes_back_too_late_gives_up,
    many_that_look_at_once_take_each_task_once,
    what_is_handed_back_is_taken_up_at_once,
    a_poison_task_fails_after_so_many_attempts,
    attempts_are_counted_per_message,
    tasks_that_waited_for_their_turn_are_taken_up,
    a_round_takes_up_what_there_is_room_for,
    a_writer_that_panics_leaves_nothing_behind,
    a_quick_task_has_no_lease,
);
on_databases!(lines:
    a_task_that_waits_is_stored_and_runs_when_its_turn_comes,
    owners_take_turns,
    an_owner_at_its_limit_waits_while_others_run,
    the_line_is_bounded_and_says_by_what,
    a_task_that_waits_is_canceled_without_its_agent,
    messages_wait_in_line,
    a_key_is_known_while_its_task_waits,
    a_direct_answer_from_the_line_completes_the_task,
    who_waits_in_line_when_the_server_drains_is_left_to_the_next,
);
on_databases!(recovery:
    an_agent_that_can_restart_runs_again_with_the_same_message,
    the_task_of_any_other_agent_fails_and_says_why,
    restarts_wait_for_a_free_execution,
    recovering_what_runs_or_has_settled_changes_nothing,
    a_writer_that_was_taken_over_gives_up,
);
