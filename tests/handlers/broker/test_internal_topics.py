"""Topics that only the broker writes (Topic.isInternal), where they exist; else they are unknown as any other."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import MemoryAsker, Topic, batch, codes, fetch, produce, rows_of, wants
from tests.handlers.broker.test_delete_records import delete

INTERNAL = ["__consumer_offsets", "__transaction_state", "__share_group_state"]


@pytest.mark.parametrize("name", INTERNAL)
def test_clients_only_read_them(asker: MemoryAsker, name: str) -> None:
    topic = asker.create(name=name)
    refused = {0: ErrorCode.INVALID_TOPIC_EXCEPTION, 9: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    for version in (9, 13):
        assert codes(produce(asker, topic, [(0, batch()), (9, batch())], version)) == refused
    assert [row[:2] for row in delete(asker, topic, [(0, 0), (9, 0)])] == list(refused.items())
    assert rows_of(fetch(asker, (topic, [wants(0, 0)]))) == [(0, 0, 0, 0, 0)]


@pytest.mark.parametrize("name", INTERNAL)
def test_they_may_be_missing(asker: MemoryAsker, name: str) -> None:
    topic = Topic(name, asker.create().id)
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert codes(produce(asker, topic, [(0, batch())])) == {0: unknown}
    assert delete(asker, topic, [(0, 0)]) == [(0, unknown, -1)]
