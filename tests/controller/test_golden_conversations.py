"""What real brokers asked a real controller, asked of ours: the same answers, and the same records in the log.

Offsets differ, for Kafka's controller writes NoOpRecords and ours does not: broker epochs and offsets are translated.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.alter_partition import Wanted, alter_partitions
from pykbroker.controller_apis import SERVED_BY_CONTROLLER
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.message import Message
from pykbroker.protocol.metadata_records import parse_record
from pykbroker.record.batch import iterate_batches
from pykbroker.record.reader import iterate_records
from tests.controller.nodes import ControllerNode
from tests.controller.wire import Wire
from tests.raft.conversations import Exchange, exchanges

STATIC, DYNAMIC = "kraft-controller-static", "kraft-controller-dynamic"
CONVERSATIONS = [(STATIC, 1), (DYNAMIC, 1), (DYNAMIC, 2)]


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(ControllerNode(tmp_path, node_id=100).start())


def of(name: str, client: str, key: ApiKey) -> list[Exchange]:
    return [exchange for exchange in exchanges(name, client) if exchange.api_key == key]


@pytest.mark.parametrize(("name", "broker"), CONVERSATIONS)
def test_versions_and_features(wire: Wire, name: str, broker: int) -> None:
    for exchange in of(name, str(broker), ApiKey.API_VERSIONS):
        ours: Any = wire.ask(exchange.request, 4)
        theirs: Any = exchange.response
        ranges = {row.api_key: (row.min_version, row.max_version) for row in theirs.api_keys}
        assert {row.api_key: (row.min_version, row.max_version) for row in ours.api_keys} == {
            int(key): ranges[key] for key in SERVED_BY_CONTROLLER
        }
        assert by_name(ours.supported_features) == by_name(theirs.supported_features)
        assert ours.finalized_features_epoch > 0
        finalized = [row for row in theirs.finalized_features if row.name != "kraft.version"]
        assert by_name(ours.finalized_features) == by_name(finalized)


def by_name(rows: Any) -> list[Any]:
    return sorted(rows, key=lambda row: str(row.name))


@pytest.mark.parametrize(("name", "broker"), CONVERSATIONS)
def test_an_observer_that_knows_nothing_is_told_the_leader(wire: Wire, name: str, broker: int) -> None:
    first = of(name, f"raft-client-{broker}", ApiKey.FETCH)[0]
    theirs: Any = first.response
    ours: Any = wire.ask(first.request, 18)
    # But for the port, and the log is as long as it is.
    ours.node_endpoints[0].host, ours.node_endpoints[0].port = (
        theirs.node_endpoints[0].host,
        theirs.node_endpoints[0].port,
    )
    assert ours == theirs


@pytest.mark.parametrize(("name", "broker"), CONVERSATIONS)
def test_a_life_from_registration_to_the_first_stop(wire: Wire, name: str, broker: int) -> None:
    """Registration, heartbeats, producer ids: as far as the first incarnation goes."""
    epochs: dict[int, int] = {}
    asked = 0
    for exchange in exchanges(name, str(broker)):
        if exchange.api_key == ApiKey.BROKER_REGISTRATION:
            if epochs:
                break
            ours: Any = wire.ask(exchange.request, 4)
            theirs: Any = exchange.response
            epochs[theirs.broker_epoch] = ours.broker_epoch
            assert ours.error_code == theirs.error_code == 0
        elif exchange.api_key == ApiKey.BROKER_HEARTBEAT:
            heartbeat(wire, exchange, epochs)
        elif exchange.api_key == ApiKey.ALLOCATE_PRODUCER_IDS:
            request: Any = exchange.request
            request.broker_epoch = epochs[request.broker_epoch]
            block: Any = wire.ask(request, 0)
            assert (block.error_code, block.producer_id_len) == (0, exchange.response.producer_id_len)  # type: ignore[attr-defined]
        else:
            continue
        asked += 1
    assert asked > 10


def heartbeat(wire: Wire, exchange: Exchange, epochs: dict[int, int]) -> None:
    """As caught up with our log as it was with theirs."""
    request: Any = exchange.request
    theirs: Any = exchange.response
    request.broker_epoch = epochs[request.broker_epoch]
    request.current_metadata_offset = wire.node.image.offset if theirs.is_caught_up else -1
    if request.want_shut_down:
        return  # who else is there decides how long that takes
    assert wire.ask(request, 2) == theirs


def test_what_clients_had_forwarded(wire: Wire) -> None:
    """Topics created and deleted, a config changed; in versions whose answers have no ids in them."""
    wire.node.bring_up(1, 2)
    envelopes = [each for number in (1, 2) for each in of(DYNAMIC, str(number), ApiKey.ENVELOPE)]
    assert len(envelopes) == 3
    for exchange in sorted(envelopes):
        theirs: Any = exchange.response
        ours: Any = wire.ask(exchange.request, 0)
        assert ours.error_code == theirs.error_code == 0
        assert bytes(ours.response_data) == bytes(theirs.response_data)


# The log


def batches(name: str, broker: int) -> Iterator[list[Message]]:
    """What the controller wrote, one list for each batch, as the broker fetched it."""
    end = 0
    for exchange in of(name, f"raft-client-{broker}", ApiKey.FETCH):
        for topic in exchange.response.responses:  # type: ignore[attr-defined]
            data = bytes(topic.partitions[0].records or b"")
            for header, at in iterate_batches(data):
                if header.base_offset < end:
                    continue
                end = header.next_offset
                if not header.is_control:
                    yield [parse_record(record.value or b"")[0] for record in iterate_records(data, at)]


def test_isr_changes_are_written_as_kafka_writes_them() -> None:
    """All four AlterPartition requests of the conversation, each on the image that the real controller had."""
    requests = [each for number in (1, 2) for each in of(DYNAMIC, str(number), ApiKey.ALTER_PARTITION)]
    assert len(requests) == 4
    image = MetadataImage.empty("cluster")
    seen = 0
    for offset, records in enumerate(batches(DYNAMIC, 1)):
        for exchange in requests:
            if is_answered_by(image, exchange.request, records):
                check_alter_partition(image, exchange, records)
                seen += 1
        delta = MetadataDelta(image)
        for record in records:
            delta.replay(record)
        image = delta.apply(offset, 1)
    assert seen == 4


def is_answered_by(image: MetadataImage, request: Any, records: list[Message]) -> bool:
    """Whether the batch changes just the partitions of the request, in the states that it names."""
    wanted = wanted_of(request)
    changed = [(each.topic_id, each.partition_id) for each in records if type(each).__name__ == "PartitionChangeRecord"]  # type: ignore[attr-defined]
    if sorted(changed) != sorted((each.topic_id, each.partition) for each in wanted):
        return False
    return all(
        (topic := image.topics.by_id(each.topic_id)) is not None
        and topic.partitions[each.partition].partition_epoch == each.partition_epoch
        for each in wanted
    )


def wanted_of(request: Any) -> list[Wanted]:
    return [
        Wanted(
            topic.topic_id,
            each.partition_index,
            each.leader_epoch,
            each.partition_epoch,
            [(broker.broker_id, broker.broker_epoch) for broker in each.new_isr_with_epochs],
            each.leader_recovery_state,
        )
        for topic in request.topics
        for each in topic.partitions
    ]


def check_alter_partition(image: MetadataImage, exchange: Exchange, records: list[Message]) -> None:
    request: Any = exchange.request
    theirs: Any = exchange.response
    result = alter_partitions(image, BrokerConfig(), request.broker_id, request.broker_epoch, wanted_of(request))
    assert result.records == records
    rows = [row for topic in theirs.topics for row in topic.partitions]
    for row, altered in zip(rows, result.response, strict=True):
        assert (row.error_code, altered.code) == (0, 0)
        state = altered.state
        assert state is not None
        assert (row.leader_id, row.leader_epoch, tuple(row.isr), row.leader_recovery_state, row.partition_epoch) == (
            state.leader,
            state.leader_epoch,
            state.isr,
            state.leader_recovery_state,
            state.partition_epoch,
        )
