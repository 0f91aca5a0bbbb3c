//! What every backend has to show: the same functions run on each of them.
//!
//! A backend's test file says how to open a fresh store and calls [`suite!`].

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

pub mod areas;
pub mod deletion;
pub mod fencing;
pub mod gathered;
pub mod hosts;
pub mod nodes;
pub mod operators;
pub mod orders;
pub mod passkeys;
pub mod portable;
pub mod races;
pub mod removal;
pub mod restored;
pub mod rotations;
pub mod rows;
pub mod sealing;
pub mod tree;

/// One test per property. `$open` is an async function that returns a fresh store and what keeps it alive.
#[macro_export]
macro_rules! suite {
    ($open:path: $($area:ident { $($property:ident),+ $(,)? })+) => {$(
        mod $area {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $property() {
                    let (store, _kept) = $open().await;
                    $crate::conformance::$area::$property(store).await;
                }
            )+
        }
    )+};
    ($open:path) => {
        $crate::suite!($open:
            rows {
                a_row_comes_back_as_it_was_written,
                a_taken_key_is_refused_and_the_transaction_goes_on,
                a_taken_unique_value_is_refused,
                an_update_replaces_only_what_exists,
                a_guarded_update_needs_its_guard,
                upsert_writes_new_and_old,
                take_returns_and_deletes,
                delete_all_counts_what_it_deleted,
                a_dropped_transaction_leaves_nothing,
                a_rolled_back_transaction_leaves_nothing,
                a_transaction_reads_its_own_writes,
                a_strict_read_is_one_snapshot,
            }
            rotations {
                what_was_staged_takes_the_place_of_thousands_of_objects,
                a_switch_that_is_cut_off_in_any_range_changes_nothing,
                a_switch_touches_its_range_of_its_vault_and_tenant_alone,
                ranges_cover_every_id_there_can_be,
            }
            orders {
                rows_come_in_the_order_asked_for,
                pages_cover_everything_once_in_both_directions,
                ranges_and_missing_values_select_like_sql,
                count_and_limit_are_kept,
            }
            fencing {
                all_that_a_life_owns_is_given_up_and_no_more,
                a_claim_in_another_nodes_name_does_not_fence_it,
                a_stale_epoch_is_refused_for_writes_and_reads,
                another_incarnation_is_refused,
                a_living_owner_is_not_robbed,
                a_dead_owner_is_followed_under_the_next_epoch,
                a_released_tenant_is_free,
                an_unknown_tenant_cannot_be_claimed,
                a_dead_or_unknown_node_claims_nothing,
                a_node_that_comes_back_buries_its_earlier_life,
                claiming_again_fences_the_claim_before,
                a_claim_waits_for_an_open_transaction,
                nothing_of_the_old_owner_lands_after_the_new_one_loaded,
                rows_of_another_tenant_are_refused,
                rows_of_another_tenant_are_out_of_reach,
            }
            operators {
                of_parallel_joins_with_one_invitation_one_comes_in,
                an_invitation_ends_with_its_time,
                a_confirmation_is_good_for_its_operator_act_and_object_once,
                an_act_is_confirmed_once_and_by_who_began_it,
                of_parallel_confirmations_one_stands_and_does_its_act_once,
                the_last_operator_stays,
                only_a_cluster_without_operators_gets_a_first_one,
                a_first_operator_is_the_first,
                the_cluster_has_a_chain_of_its_own_without_a_gap,
                a_repeated_request_of_an_operator_finds_its_answer,
                a_condition_is_noted_once_for_each_time_it_comes_about,
                a_channel_is_one_nodes_and_its_earlier_holder_writes_nothing,
                a_witness_gets_the_proof_that_a_log_goes_on,
                ceremonies_that_go_on_are_counted_for_all_tenants,
            }
            nodes {
                a_renewal_moves_the_counter_until_death,
                a_death_needs_the_counter_that_was_seen,
                the_dead_declare_nobody_dead,
                of_a_renewal_and_a_death_one_comes_first,
                an_observation_shows_the_living_with_their_counters,
                registration_and_death_raise_the_view,
                a_node_that_nobody_let_in_does_not_belong,
            }
            removal {
                a_removed_node_is_dead_and_stays_removed,
                each_removal_makes_a_generation_of_the_sealing_key_due,
                a_node_that_joined_and_never_started_is_removed_like_any_other,
                a_living_node_is_revoked_and_not_forgotten,
                a_removal_uses_its_confirmation_up,
                every_removed_node_is_seen_however_many,
            }
            races {
                of_parallel_compare_and_sets_one_wins,
                of_parallel_takes_one_gets_the_row,
                of_parallel_repeats_one_takes_effect,
                of_parallel_claims_one_holds,
                of_parallel_redemptions_of_a_sign_up_one_founds,
                parallel_audit_has_no_gap,
                of_parallel_listings_of_an_address_twenty_stand,
                of_parallel_sign_ups_of_an_address_five_stand,
                nodes_that_start_together_make_one_cluster,
            }
            deletion {
                an_erased_tenant_leaves_its_audit_and_takes_nothing_of_others,
                a_deletion_is_recorded_once,
            }
            portable {
                a_dump_comes_back_row_by_row,
                a_dump_goes_into_an_empty_database_only,
                a_damaged_dump_is_refused_where_it_is_and_changes_nothing,
                a_restored_database_takes_no_node_until_that_is_accepted,
            }
            restored {
                who_was_revoked_stays_so_over_a_restore,
                snapshots_are_unverified_after_an_accepted_restore,
                a_vault_of_a_group_that_was_open_at_a_restore_is_due_for_new_keys,
                an_accepted_restore_leaves_nothing_that_is_good_once,
                a_revocation_that_the_database_forgot_is_written_again_once,
                a_database_that_went_back_to_the_same_version_is_accepted,
            }
            passkeys {
                a_challenge_is_used_up_once_by_who_asked_with_the_sign_in,
                a_passkey_is_one_accounts,
            }
            sealing {
                what_is_under_an_earlier_generation_is_found_by_its_tenants,
                a_totp_secret_under_an_earlier_generation_is_found_confirmed_or_not,
                a_clients_secret_under_an_earlier_generation_is_found,
                a_channel_under_an_earlier_generation_is_found,
                a_stream_under_an_earlier_generation_is_found,
                a_generation_stands_alone_once_nothing_and_nobody_is_under_an_earlier_one,
                who_may_hold_a_generation_is_known,
                nothing_is_written_under_a_generation_that_was_given_up,
                an_operator_makes_the_next_generation_due_once_the_one_before_is_alone,
            }
            hosts {
                parallel_reservations_never_exceed_a_host,
                what_was_reserved_comes_back_and_a_rolled_back_reservation_was_none,
                a_host_finds_its_containers_of_all_tenants,
            }
            tree {
                what_was_pruned_is_proven_still_and_the_chain_goes_on,
                what_is_not_there_is_not_pruned,
                every_record_is_proven_and_every_log_the_beginning_of_the_next,
                a_tree_grows_after_a_program_that_kept_none,
            }
            gathered {
                records_are_chained_and_proven_as_by_themselves,
                a_dropped_one_leaves_no_record,
                one_after_a_program_that_kept_no_tree_takes_its_records_in,
                what_it_writes_it_reads,
            }
            areas {
                the_cluster_row_is_made_once,
                a_tenant_is_founded_whole_or_not_at_all,
                a_sign_up_is_good_once_and_until_it_expires,
                the_newer_sign_up_ends_the_older,
                the_directory_follows_the_users,
                sign_ups_of_other_devices_end_nothing_and_are_bounded,
                ended_sign_ups_count_until_the_window_has_passed,
                an_address_is_listed_in_twenty_tenants_at_the_most,
                a_repeated_request_gets_the_first_answer,
                due_timers_come_across_tenants_in_their_order,
                a_timer_fires_once_and_not_early,
                held_timers_come_back_with_the_time_they_had_left,
                tenants_are_listed_in_the_order_of_their_ids,
                vaults_of_groups_that_are_due_for_new_keys_are_counted_by_tenant,
                tenants_with_mail_are_told_once_each,
                an_answer_to_a_message_is_kept,
                the_audit_chain_verifies_and_pages,
                an_audit_record_of_another_tenant_is_refused,
            }
        );
    };
}
