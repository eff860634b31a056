"""Markers go to the log, or to the group coordinator whose state they change."""

from collections import deque

import pytest

from pykbroker.coordinator.shard import Marker
from pykbroker.coordinator.transaction.marker_writer import MarkerWriter
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.transaction.plays import OFFSETS, A, Partitions

MARKER = Marker(7, 0, 0, True)


def test_each_to_its_keeper() -> None:
    logs, groups = Partitions(), Partitions()
    writer = MarkerWriter(logs, groups)
    assert writer.write(A, MARKER) is None
    assert writer.write(OFFSETS, MARKER) is None
    assert (logs.markers, groups.markers) == ({A: [MARKER]}, {OFFSETS: [MARKER]})


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (E.COORDINATOR_LOAD_IN_PROGRESS, E.NOT_LEADER_OR_FOLLOWER),
        (E.COORDINATOR_NOT_AVAILABLE, E.NOT_LEADER_OR_FOLLOWER),
        (E.NOT_COORDINATOR, E.NOT_LEADER_OR_FOLLOWER),
        (E.INVALID_PRODUCER_EPOCH, E.INVALID_PRODUCER_EPOCH),
    ],
)
def test_coordinators_of_transactions_know_leaders_only(code: int, told: int) -> None:
    groups = Partitions()
    groups.answers[OFFSETS] = deque([KafkaError(code)])
    with pytest.raises(KafkaError) as caught:
        MarkerWriter(Partitions(), groups).write(OFFSETS, MARKER)
    assert caught.value.code == told
