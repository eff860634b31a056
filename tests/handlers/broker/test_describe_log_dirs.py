"""DescribeLogDirs, as the real Kafka 4.3.1 answers it."""

from typing import Any

import pytest

from pykbroker.protocol.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from tests.handlers.broker.asker import Asker, Topic, batch, fetch, produce, rows_of, wants


def describe(asker: Asker, topics: list[DescribableLogDirTopic] | None, version: int = 5) -> Any:
    response = asker.ask(DescribeLogDirsRequest(topics=topics), version)
    assert response.error_code == 0
    (directory,) = response.results
    assert (directory.error_code, directory.is_cordoned) == (0, False)
    assert directory.log_dir.startswith("/")
    return directory


def replicas(directory: Any) -> dict[tuple[str, int], tuple[int, int, bool]]:
    return {
        (topic.name, row.partition_index): (row.partition_size, row.offset_lag, row.is_future_key)
        for topic in directory.topics
        for row in topic.partitions
    }


def filled(asker: Asker) -> tuple[Topic, int]:
    topic = asker.create(partitions=3)
    produce(asker, topic, [(0, batch(5))])
    return topic, rows_of(fetch(asker, (topic, [wants(0, 0)])))[0][4]


@pytest.mark.parametrize("version", range(1, 6))
def test_tells_sizes_of_what_was_asked(asker: Asker, version: int) -> None:
    topic, size = filled(asker)
    directory = describe(
        asker,
        [
            DescribableLogDirTopic(topic=topic.name, partitions=[0, 1, 9]),
            DescribableLogDirTopic(topic="no-such-topic", partitions=[0]),
        ],
        version,
    )
    assert replicas(directory) == {(topic.name, 0): (size, 0, False), (topic.name, 1): (0, 0, False)}
    if version >= 4:
        assert directory.total_bytes > directory.usable_bytes > 0
    else:
        assert (directory.total_bytes, directory.usable_bytes) == (-1, -1)


def test_null_means_everything_and_nothing_means_nothing(asker: Asker) -> None:
    topic, size = filled(asker)
    everything = replicas(describe(asker, None))
    assert everything[topic.name, 0] == (size, 0, False)
    assert {index for name, index in everything if name == topic.name} == {0, 1, 2}
    assert replicas(describe(asker, [])) == {}
