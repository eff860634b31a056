"""AddOffsetsToTxn, as the real Kafka 4.3.1 answers it; what becomes of the offsets: test_txn_offset_commit.py."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import unique
from tests.handlers.transaction_dialogue import begun, find_coordinator


@pytest.mark.parametrize("version", range(5))
def test_the_partition_of_the_group_joins_the_transaction(coordinated: Asker, version: int) -> None:
    group = unique("group")
    find_coordinator(coordinated, group, 0)
    topic = coordinated.create(1)
    producer = begun(coordinated)
    assert producer.add(topic) == 0
    assert producer.add_offsets(group, version) == 0
    assert producer.add_offsets(group, version) == 0
    assert {item.topic for item in producer.described().topics} == {topic.name, "__consumer_offsets"}


def test_while_a_transaction_ends(coordinated: Asker) -> None:
    group = unique("group")
    find_coordinator(coordinated, group, 0)
    producer = begun(coordinated)
    assert producer.add_offsets(group) == 0
    assert producer.end(True, 4) == 0
    assert producer.try_add_offsets(group) in (0, ErrorCode.CONCURRENT_TRANSACTIONS)
