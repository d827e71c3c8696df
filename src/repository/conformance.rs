//! One suite for every [`TaskRepository`]: what the engine relies on, said as tests.
//!
//! Each case is a public function that takes an empty repository and panics where it does not keep a promise, so
//! that an implementation from elsewhere can be held to the same. [`repository_conformance!`] makes one test out of
//! every case; [`run`] runs them all, one after the other. [`push_conformance!`] does the same for those who keep push
//! notifications too.
//!
//! ```no_run
//! use std::sync::Arc;
//! use a2ad::repository::{TaskRepository, memory::MemoryRepository};
//!
//! a2ad::repository_conformance!(async || Arc::new(MemoryRepository::new()) as Arc<dyn TaskRepository>);
//! ```
//!
//! [`repository_conformance!`]: crate::repository_conformance
//! [`push_conformance!`]: crate::push_conformance

mod claims;
mod leases;
mod letters;
mod listing;
mod outbox;
mod reads;
mod retention;
mod settling;
mod side;
mod sketch;
mod writes;

use std::sync::Arc;

use super::{Error, TaskRepository};

pub use claims::*;
pub use leases::*;
pub use letters::*;
pub use listing::*;
pub use outbox::Both;
pub use reads::*;
pub use retention::*;
pub use settling::*;
pub use side::*;
pub use sketch::{NOW_MS, Sketch, key, message, push_config, scope};
pub use writes::*;

/// Makes a `#[tokio::test]` of every case. The argument is an async closure that makes an empty repository.
#[macro_export]
macro_rules! repository_conformance {
    (@all $mode:tt $make:expr) => {
        $crate::repository_conformance!(@$mode $make;
            a_task_reads_back_as_it_was_written,
            the_log_replays_to_the_task,
            a_task_that_exists_is_not_created_again,
            a_task_that_does_not_exist_is_not_moved,
            a_stale_generation_is_refused_and_leaves_nothing,
            a_stale_epoch_is_refused_and_leaves_nothing,
            a_higher_epoch_takes_the_task_over,
            another_scope_does_not_move_a_task,
            of_two_writers_at_once_one_wins,
            a_conflict_does_not_hurt_its_neighbours,
            two_hundred_tasks_at_once_are_all_written,
            a_large_event_is_kept,
            ids_of_any_script_and_length_are_kept,
            a_closed_repository_takes_nothing,
            closing_twice_at_once_ends,
            a_stranger_sees_nothing,
            events_are_read_by_cursor_and_limit,
            a_snapshot_and_later_events_make_the_task,
            a_long_task_reads_as_it_is_after_every_write,
            an_empty_repository_answers,
            tasks_are_listed_newest_first,
            filters_select_alone_and_together,
            pages_hold_every_task_once,
            a_total_is_counted_up_to_its_limit,
            open_tasks_are_counted_by_agent_and_owner,
            a_stale_epoch_is_refused_in_every_kind_of_write,
            lapsed_leases_are_found_page_by_page,
            a_lease_that_is_held_or_released_has_not_lapsed,
            renewing_prolongs_what_is_held_and_names_what_is_lost,
            a_lapsed_task_is_taken_over_once,
            a_released_task_is_taken_up_by_nobody,
            the_message_that_a_task_is_at_is_kept,
            nobody_is_taken_over_who_came_back,
            waiting_tasks_are_found_by_the_time_they_wait,
            a_key_is_known_until_it_expires,
            a_key_of_another_task_refuses_the_write,
            a_key_is_never_bound_twice,
            several_keys_are_bound_by_one_write,
            an_expired_key_is_bound_anew,
            a_key_belongs_to_its_owner,
            one_key_at_once_makes_one_task,
            one_expired_key_at_once_makes_one_task,
            repetitions_within_a_write_count_once,
            push_configs_are_put_replaced_and_listed,
            push_configs_are_bounded,
            push_configs_come_with_a_write,
            a_push_config_is_removed_as_often_as_one_likes,
            push_configs_need_a_task,
            ended_tasks_go_when_their_time_is_over,
            retention_is_by_agent_and_state,
            old_events_before_a_snapshot_go,
            a_log_without_a_snapshot_is_kept,
            compaction_goes_from_turn_to_turn,
            a_long_task_goes_in_several_turns
        );
    };
    (@tests $make:expr; $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let make = $make;
                $crate::repository::conformance::$case(make().await).await;
            }
        )+
    };
    (@run $make:expr; $($case:ident),+) => {
        $( $case($make().await).await; )+
    };
    ($make:expr) => {
        $crate::repository_conformance!(@all tests $make);
    };
}

/// Makes a `#[tokio::test]` of every case about push notifications. The argument is an async closure that makes an empty
/// repository as [`Both`], and something that has to be kept until the test is over.
#[macro_export]
macro_rules! push_conformance {
    (@tests $make:expr; $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let make = $make;
                let (both, _kept) = make().await;
                $crate::repository::conformance::$case(both).await;
            }
        )+
    };
    ($make:expr) => {
        $crate::push_conformance!(@tests $make;
            events_wait_for_the_configurations_of_their_task,
            a_refused_write_leaves_no_deliveries,
            a_stream_is_claimed_by_one,
            claimers_at_once_get_different_streams,
            a_claim_that_ran_out_settles_nothing,
            claims_are_settled_together,
            a_stale_settlement_hides_none,
            a_failed_attempt_is_counted,
            a_claim_is_kept,
            what_is_postponed_is_not_due,
            claims_are_bounded_and_leave_out,
            a_backlog_that_is_left_alone_is_passed,
            a_stream_ends,
            nothing_is_forgotten_while_all_are_at_work,
            what_waits_goes_where_its_configuration_says,
            what_waits_goes_with_its_configuration,
            a_dead_letter_holds_up_nobody,
            a_dead_letter_is_sent_anew,
            deliveries_are_discarded,
            many_are_changed_in_turns,
            deliveries_are_found_page_by_page,
            what_waits_keeps_its_task,
            the_log_keeps_what_a_delivery_names,
            a_long_task_goes_with_its_dead_letters
        );
    };
}

/// Runs every case, each on a repository of its own.
///
/// # Panics
/// Where the repository does not keep a promise.
pub async fn run(make: impl AsyncFn() -> Arc<dyn TaskRepository>) {
    crate::repository_conformance!(@all run make);
}

/// The value of an operation that must not fail.
#[track_caller]
fn ok<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the repository failed: {error}"),
    }
}
