"""A batch on disk that cannot be read fails its own share partition, and nothing else."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.record.batch import MAGIC_OFFSET
from tests.handlers.broker.test_share_fetch import fill
from tests.handlers.cluster_asker import ShareAsker, eventually
from tests.handlers.share_dialogue import Shared, acquired, codes, rows_of

GZIP = 1


def damage(shared: Shared, at: int, data: bytes, partition: int = 0) -> None:
    asker: Any = shared.asker
    log = asker.stand.replicas.partition((shared.topic.name, partition)).log
    with open(os.path.join(log.directory, f"{0:020}.log"), "r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.fixture
def shared(sharing: ShareAsker) -> Shared:
    shared = Shared(sharing)
    assert shared.state.initialize(1, start_offset=0).error_code == 0
    fill(shared, 3)
    fill(shared, 3, partition=1)
    return shared


def answered(ask: Callable[[], Any]) -> Any:
    return eventually(ask, lambda answer: bool(acquired(answer, 1)))


def test_messages_of_old_that_cannot_be_read(shared: Shared) -> None:
    damage(shared, MAGIC_OFFSET, bytes((1, GZIP)))
    answer = answered(lambda: shared.member().fetch(partitions=[0, 1]))
    assert acquired(answer, 1) == [(0, 2, 1)]
    assert codes(answer) == {0: (E.INVALID_RECORD, 0), 1: (0, 0)}
    row = rows_of(answer)[0]
    assert row.error_message is None
    assert not row.records
    assert not row.acquired_records


def test_a_batch_without_a_size(shared: Shared) -> None:
    damage(shared, 8, b"\0\0\0\1")
    answer = answered(lambda: shared.member().fetch(partitions=[0, 1]))
    assert codes(answer) == {0: (E.CORRUPT_MESSAGE, 0), 1: (0, 0)}


def test_what_follows_good_records_fails_the_next_fetch(shared: Shared) -> None:
    asker: Any = shared.asker
    size = asker.stand.replicas.partition((shared.topic.name, 0)).log.size
    fill(shared, 3)
    damage(shared, size + MAGIC_OFFSET, bytes((1, GZIP)))
    ann = shared.member()
    assert ann.take() == [(0, 2, 1)]
    assert codes(ann.fetch()) == {0: (E.INVALID_RECORD, 0)}


def test_damage_that_only_readers_see_goes_to_them(shared: Shared) -> None:
    damage(shared, 70, b"\xff\xff")
    assert shared.member().take() == [(0, 2, 1)]
