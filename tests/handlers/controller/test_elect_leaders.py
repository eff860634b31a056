"""ElectLeaders, as the real Kafka 4.3.1 answers it where every partition has its only leader."""

from collections.abc import Iterable
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from tests.handlers.broker.asker import Asker

PREFERRED, UNCLEAN = 0, 1
NOT_NEEDED = (ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")
Rows = list[tuple[str, list[tuple[int, int, str | None]]]]


def elect(
    asker: Asker,
    *topics: tuple[str, Iterable[int]],
    version: int = 2,
    election: int = PREFERRED,
    everything: bool = False,
    timeout_ms: int = 10_000,
) -> tuple[int, Rows]:
    """(error code, [(topic, [(partition, error code, message)])])."""
    asked = [TopicPartitions(topic=topic, partitions=list(partitions)) for topic, partitions in topics]
    request = ElectLeadersRequest(
        election_type=election, topic_partitions=None if everything else asked, timeout_ms=timeout_ms
    )
    response: Any = asker.ask(request, version)
    assert response.throttle_time_ms == 0
    return response.error_code, [
        (topic.topic, [(row.partition_id, row.error_code, row.error_message) for row in topic.partition_result])
        for topic in response.replica_election_results
    ]


@pytest.mark.parametrize(
    ("version", "election"), [(0, PREFERRED), (1, PREFERRED), (1, UNCLEAN), (2, PREFERRED), (2, UNCLEAN)]
)
def test_leaders_that_are_as_wanted(cluster: Asker, version: int, election: int) -> None:
    topic = cluster.create(partitions=2).name
    told = elect(cluster, (topic, [1, 0, 7, 0]), ("nope", [3]), (topic, []), version=version, election=election)
    assert told == (
        0,
        [
            (
                topic,
                [
                    (1, *NOT_NEEDED),
                    (0, *NOT_NEEDED),
                    (7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {topic}-7"),
                    (0, *NOT_NEEDED),
                ],
            ),
            ("nope", [(3, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "No such topic as nope")]),
            (topic, []),
        ],
    )


@pytest.mark.parametrize("version", [0, 1, 2])
def test_everything_is_told_without_what_needs_no_election(cluster: Asker, version: int) -> None:
    topics = {cluster.create(partitions=2).name, cluster.create().name}
    code, rows = elect(cluster, version=version, everything=True)
    assert code == 0
    assert topics <= {topic for topic, _ in rows}
    assert all(not partitions for _, partitions in rows)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_nothing_is_never_late(cluster: Asker, version: int) -> None:
    assert elect(cluster, version=version, timeout_ms=0) == (0, [])


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_request_that_comes_late(cluster: Asker, version: int) -> None:
    topic = cluster.create().name
    top = ErrorCode.REQUEST_TIMED_OUT if version else 0
    late = (0, ErrorCode.REQUEST_TIMED_OUT, None)
    for timeout_ms in (0, -1):
        assert elect(cluster, (topic, [0]), version=version, timeout_ms=timeout_ms) == (top, [(topic, [late])])
        assert elect(cluster, version=version, everything=True, timeout_ms=timeout_ms) == (top, [])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("election", [2, -1])
def test_unknown_elections(cluster: Asker, version: int, election: int) -> None:
    topic = cluster.create().name
    code, message = ErrorCode.INVALID_REQUEST, f"Unknown election type {election}"
    told = elect(cluster, (topic, [0]), version=version, election=election)
    assert told == (code, [(topic, [(0, code, message)])])
    assert elect(cluster, version=version, election=election, everything=True) == (code, [])
    assert elect(cluster, version=version, election=election) == (0, [])
