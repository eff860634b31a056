"""AlterReplicaLogDirs, as the real Kafka 4.3.1 answers it on one log directory."""

from collections.abc import Sequence

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from pykbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from tests.handlers.broker.asker import Asker

Answer = dict[tuple[str, int], int]


def alter(asker: Asker, *dirs: tuple[str, str, Sequence[int]], version: int = 2) -> Answer:
    """(path, topic, partitions) → error codes."""
    request = AlterReplicaLogDirsRequest(
        dirs=[
            AlterReplicaLogDir(path, [AlterReplicaLogDirTopic(name, list(partitions))])
            for path, name, partitions in dirs
        ]
    )
    response = asker.ask(request, version)
    return {
        (topic.topic_name, row.partition_index): row.error_code
        for topic in response.results
        for row in topic.partitions
    }


def directory_of(asker: Asker) -> str:
    (result,) = asker.ask(DescribeLogDirsRequest(topics=[]), 4).results
    path: str = result.log_dir
    return path


@pytest.mark.parametrize("version", [1, 2])
def test_where_it_lies_already_there_is_nothing_to_do(asker: Asker, version: int) -> None:
    topic = asker.create(partitions=2)
    answer = alter(asker, (directory_of(asker), topic.name, [0, 1]), version=version)
    assert answer == {(topic.name, 0): 0, (topic.name, 1): 0}


def test_what_is_not_there(asker: Asker) -> None:
    topic = asker.create()
    path = directory_of(asker)
    answer = alter(asker, (path, topic.name, [0, 7]), (path + "-2", "other", [0]), (path, "no-such-topic", [3]))
    assert answer == {
        (topic.name, 0): 0,
        (topic.name, 7): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ("other", 0): ErrorCode.LOG_DIR_NOT_FOUND,
        ("no-such-topic", 3): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }


@pytest.mark.parametrize(("length", "code"), [(213, 0), (214, ErrorCode.INVALID_TOPIC_EXCEPTION)])
def test_a_long_name_leaves_no_room_for_the_move(asker: Asker, length: int, code: int) -> None:
    name = asker.create().name
    topic = asker.create(name=(name + "-" + "n" * 255)[:length])
    assert alter(asker, (directory_of(asker), topic.name, [0])) == {(topic.name, 0): code}


def test_a_partition_twice_the_last_counts(asker: Asker) -> None:
    topic = asker.create()
    path = directory_of(asker)
    assert alter(asker, ("/nowhere", topic.name, [0]), (path, topic.name, [0])) == {(topic.name, 0): 0}
