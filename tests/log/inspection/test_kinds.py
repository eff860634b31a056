"""Kafka's files by their names."""

import pytest

from pykbroker.log.inspection.kinds import Kind, Recognised, recognise

N = "00000000000000000042"
HEX = 32 * "a"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"t-0/{N}.log", Recognised(Kind.SEGMENT, 42, "")),
        (f"__consumer_offsets-3/{N}.log", Recognised(Kind.SEGMENT, 42, "group")),
        (f"__transaction_state-3/{N}.log.deleted", Recognised(Kind.SEGMENT, 42, "transaction")),
        (f"__share_group_state-3.{HEX}-delete/{N}.log", Recognised(Kind.SEGMENT, 42, "share")),
        (f"__cluster_metadata-0/{N}.log", Recognised(Kind.SEGMENT, 42, "metadata")),
        (f"__cluster_metadata-0/{N}-0000000003.checkpoint", Recognised(Kind.METADATA_SNAPSHOT, 42, "metadata")),
        (f"x/{N}-0000000003.checkpoint.part", Recognised(Kind.METADATA_SNAPSHOT, 42, "metadata")),
        ("bootstrap.checkpoint", Recognised(Kind.METADATA_SNAPSHOT, 0, "metadata")),
        (f"t-0/{N}.index.cleaned", Recognised(Kind.OFFSET_INDEX, 42, "")),
        (f"t-0/{N}.timeindex.swap", Recognised(Kind.TIME_INDEX, 42, "")),
        (f"t-0/{N}.txnindex", Recognised(Kind.TRANSACTION_INDEX, 42, "")),
        (f"t-0/{N}.snapshot", Recognised(Kind.PRODUCER_SNAPSHOT, 42, "")),
        ("t-0/leader-epoch-checkpoint", Recognised(Kind.LEADER_EPOCHS, 0, "")),
        ("d/replication-offset-checkpoint", Recognised(Kind.OFFSET_CHECKPOINT, 0, "")),
        ("d/meta.properties", Recognised(Kind.META_PROPERTIES, 0, "")),
        ("d/.kafka_cleanshutdown", Recognised(Kind.CLEAN_SHUTDOWN, 0, "")),
        ("t-0/partition.metadata", Recognised(Kind.PARTITION_METADATA, 0, "")),
        ("__cluster_metadata-0/quorum-state", Recognised(Kind.QUORUM_STATE, 0, "metadata")),
        ("d/server.properties", None),
        ("d/.lock", None),
    ],
)
def test_names(path: str, expected: Recognised | None) -> None:
    assert recognise(path) == expected
