"""Which tests show which scenario: rows of section 1 of the project's scenarios.md, defects that others really had.

Rows of replication, coordinators and transactions; the others are named in the docstrings of their tests (grep
"scenario").
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GROUPS = "tests/coordinator/group"
REPLICAS = "tests/replica/test_cluster.py"
CLUSTER = "tests/cluster/test_simulation.py::test_nothing_committed_is_lost"  # 1 to 8, 11 and 33 in any order
SHOWN_BY = {
    1: [f"{REPLICAS}::test_a_follower_restarts_and_leads_before_it_fetched_again", CLUSTER],
    2: [f"{REPLICAS}::test_two_failovers_in_a_row_and_an_epoch_that_the_follower_does_not_know", CLUSTER],
    3: [f"{REPLICAS}::test_elections_without_data_leave_no_epochs_that_loop", CLUSTER],
    4: [f"{REPLICAS}::test_a_missed_epoch_of_the_same_leader", CLUSTER],
    5: [f"{REPLICAS}::test_an_unclean_election_cuts_the_longer_log_of_the_leader_before",
        "tests/cluster/test_simulation.py::test_after_unclean_elections_all_replicas_agree"],
    6: [f"{REPLICAS}::test_a_new_leader_tells_no_latest_offset_before_its_epoch_is_committed", CLUSTER],
    7: [f"{REPLICAS}::test_what_a_consumer_has_seen_stays", CLUSTER],
    8: [f"{REPLICAS}::test_a_retry_at_the_next_leader_is_answered_with_the_first_offset",
        f"{REPLICAS}::test_a_retry_of_what_only_the_leader_before_had_is_written", CLUSTER,
        "tests/handlers/broker/test_produce.py::test_a_repeated_batch_is_answered_with_its_first_offset",
        "tests/log/test_retries.py::test_the_last_five_are_answered_with_their_offsets",
        "compat_tests/history/test_runs.py::test_though_the_broker_is_killed"],
    9: ["compat_tests/disk/test_scenarios.py::test_a_retry_is_answered_although_its_segment_was_deleted"],
    10: ["tests/handlers/broker/test_produce.py::test_an_unknown_producer_may_begin_anywhere",
         "compat_tests/disk/test_scenarios.py::test_an_idle_producer_that_was_forgotten_goes_on"],
    11: ["tests/cluster/test_simulation.py::test_reassignments_under_an_idempotent_producer", CLUSTER],
    12: ["tests/handlers/broker/test_write_txn_markers.py::test_a_late_marker_touches_only_its_epoch"],
    13: ["tests/handlers/broker/test_end_txn.py::test_a_delayed_end_does_not_end_the_next_transaction",
         "tests/handlers/broker/test_end_txn.py::test_a_delayed_end_of_an_old_client_does"],
    14: ["tests/handlers/broker/test_produce_transactions.py::test_old_clients_must_add_the_partition_before",
         "tests/handlers/broker/test_produce_transactions.py::test_for_new_clients_the_broker_adds_it",
         "tests/handlers/broker/test_produce_transactions.py::test_compressed_batches"],
    15: ["tests/coordinator/transaction/test_transaction_shard.py::test_open_transactions_stay_open_over_a_reload",
         "tests/coordinator/transaction/test_transaction_shard.py::test_half_done_ends_go_on_after_a_reload",
         "tests/coordinator/transaction/test_simulation.py::test_committed_means_all_and_aborted_nothing",
         "compat_tests/cluster/test_coordinators_die.py::test_all_of_a_transaction_or_nothing"],
    16: ["tests/handlers/broker/test_end_txn.py::test_a_retry_of_new_clients_is_told_the_same"],
    17: ["tests/handlers/broker/test_end_txn.py::test_a_transaction_ends_as_decided"],
    22: ["tests/log/test_cleaner.py::test_an_open_transaction_is_not_touched"],
    23: [f"{GROUPS}/test_offset_commit.py::test_nothing_expires_in_a_rebalance",
         f"{GROUPS}/test_consumer_offsets.py::test_nothing_expires_in_a_reconciliation",
         f"{GROUPS}/test_streams.py::test_offsets_stay_while_the_topology_reads_the_topic"],
    24: [f"{GROUPS}/test_offsets.py::test_a_later_plain_commit_wins_over_an_earlier_transactional_one",
         f"{GROUPS}/test_offsets.py::test_equals_a_naive_model_and_reverts_to_it",
         f"{GROUPS}/test_txn_offsets.py::test_what_an_open_transaction_commits_does_not_expire",
         f"{GROUPS}/test_simulation.py::test_run",
         f"{GROUPS}/test_consumer_simulation.py::test_run",
         f"{GROUPS}/test_streams_simulation.py::test_run",
         f"{GROUPS}/test_share_simulation.py::test_run"],
    25: [f"{GROUPS}/test_offset_commit.py::test_replayed_offsets_keep_their_age",
         f"{GROUPS}/test_consumer_offsets.py::test_a_reload_keeps_offsets_and_their_age",
         f"{GROUPS}/test_streams.py::test_offsets_stay_while_the_topology_reads_the_topic"],
    26: [f"{GROUPS}/test_reconciliation.py::test_it_waits_for_what_is_not",
         f"{GROUPS}/test_reconciliation.py::test_it_gives_back_first",
         f"{GROUPS}/test_consumer_simulation.py::test_run"],
    27: [f"{GROUPS}/test_assignor_uniform.py::test_whatever_the_members_claim",
         f"{GROUPS}/test_assignor_mixed.py::test_whatever_the_members_claim",
         f"{GROUPS}/test_streams_assignor.py::test_whatever_the_members_claim",
         f"{GROUPS}/test_consumer_migration.py::test_a_partition_given_to_two_classic_members_stays_a_matter_of_theirs",
         f"{GROUPS}/consumer_dialogues.py::two_classic_members_claim_one_partition",
         f"{GROUPS}/test_migration_simulation.py::test_run"],  # classic members say what they own, truly or not
    29: ["compat_tests/franz_go/test_franz_go.py::test_three_chained_groups_rebalance_at_once"],
    30: ["compat_tests/disk/test_scenarios.py::test_read_committed_goes_on_where_it_was"],
    31: ["compat_tests/disk/test_scenarios.py::test_a_topic_created_again_inherits_nothing",
         f"{GROUPS}/test_offset_commit.py::test_offsets_go_with_their_topic",
         f"{GROUPS}/test_offset_commit.py::test_offsets_of_an_older_topic_are_not_told",
         f"{GROUPS}/test_share_offsets.py::test_topics_are_deleted",
         "tests/coordinator/share/test_share_shard.py::test_deleted_topics_take_their_states_along",
         "tests/handlers/broker/test_share_fetch.py::test_a_topic_created_again_inherits_no_state"],
    32: ["tests/test_dispatch.py::test_a_bug_is_an_unknown_server_error_with_one_traceback",
         "tests/network/test_connection.py::test_a_bug_closes_one_connection_only",
         "compat_tests/test_hostile_neighbour.py::test_a_well_behaved_client_loses_nothing"],
    33: ["tests/crash/test_crash_points.py::test_nothing_that_was_promised_is_lost",
         "tests/crash/test_power_cut.py::test_what_follows_a_torn_segment_goes", CLUSTER],
    34: ["tests/cluster/test_simulation.py::test_a_healthy_cluster_loses_nothing",
         "tests/crash/test_no_fault.py::test_nothing_is_lost_or_numbered_wrongly"],
}  # fmt: skip


@pytest.mark.parametrize(("row", "test"), [(row, test) for row, tests in SHOWN_BY.items() for test in tests])
def test_it_is_there(row: int, test: str) -> None:
    """A test that was renamed is named here too."""
    file, name = test.split("::")
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}, row
