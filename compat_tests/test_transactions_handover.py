"""Transactions on a data directory that pykbroker and the real Kafka take over from each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compat_tests.brokers import pykbroker
from compat_tests.wire.conftest import SocketAsker
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_txn_offset_commit import committed, new_group
from tests.handlers.cluster_asker import eventually
from tests.handlers.transaction_dialogue import LATER, Identity, TransactionalProducer, begun, stable_offsets
from tests.log.logs import golden_directory
from tools.oracle import cluster

pytestmark = pytest.mark.own_broker

# As tools/oracle/cluster.py starts Kafka.
FEW_PARTITIONS = ("transaction.state.log.num.partitions=10", "offsets.topic.num.partitions=10")
NOT_SERVED = ("authorizer.", "super.users", "allow.everyone", "internal.")


@contextmanager
def pykbroker_on(folder: Path) -> Iterator[SocketAsker]:
    with pykbroker(folder / "n1" / "data", *FEW_PARTITIONS) as broker:
        asker = SocketAsker(broker.bootstrap)
        yield asker
        asker.client.close()


@contextmanager
def kafka_on(folder: Path) -> Iterator[SocketAsker]:
    with cluster.up(folder, heap="512m") as running:
        asker = SocketAsker(running.bootstrap)
        yield asker
        asker.client.close()


def resumed(asker: SocketAsker, transactional_id: str, identity: Identity) -> TransactionalProducer:
    """The producer that was there before, as if only its connection had broken."""
    producer = TransactionalProducer(asker, transactional_id)
    producer.identity = identity
    return producer


def produce(producer: TransactionalProducer, topic: Topic) -> None:
    """Asks again, as clients do, while a broker that has just started can't reach its own coordinator."""
    later = LATER | {ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.NETWORK_EXCEPTION}
    assert eventually(lambda: producer.produce(topic).error_code, lambda code: code not in later) == 0


def commit_offset(producer: TransactionalProducer, group: str, topic: Topic, offset: int) -> None:
    assert eventually(lambda: producer.commit_offset(group, topic, offset), lambda code: code not in LATER) == 0


@pytest.mark.timeout(120)
def test_each_continues_what_the_other_began(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    with pykbroker_on(tmp_path) as asker:
        topic, group = asker.create(1), new_group(asker)
        first = begun(asker, "first")
        produce(first, topic)
        commit_offset(first, group, topic, 1)
        assert first.end(True) == 0
        first.at_rest()
        produce(first, topic)
        assert first.end(False) == 0
        first.at_rest()
        produce(first, topic)
        commit_offset(first, group, topic, 5)
    with kafka_on(tmp_path) as asker:
        second = resumed(asker, "first", first.identity)
        assert second.at_rest().transaction_state == "Ongoing"
        assert stable_offsets(asker, topic)[:2] == (5, 4)
        new_group(asker)
        assert committed(asker, group, topic) == (1, 0)
        assert second.end(True) == 0
        second.at_rest()
        assert committed(asker, group, topic) == (5, 0)
        assert stable_offsets(asker, topic)[:2] == (6, 6)
        produce(second, topic)
        commit_offset(second, group, topic, 7)
    with pykbroker_on(tmp_path) as asker:
        third = resumed(asker, "first", second.identity)
        assert third.at_rest().transaction_state == "Ongoing"
        assert committed(asker, group, topic) == (5, 0)
        assert third.try_end(False, identity=first.identity) != 0
        assert third.end(True) == 0
        third.at_rest()
        assert committed(asker, group, topic) == (7, 0)
        assert stable_offsets(asker, topic)[:2] == (8, 8)


@pytest.mark.parametrize("state", ["clean", "killed", "torn"])
def test_an_open_transaction_of_real_kafka_has_timed_out(state: str, tmp_path: Path) -> None:
    data, manifest = golden_directory(state, tmp_path)
    settings = {
        **manifest["settings"],
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "300",
    }
    ours = [f"{key}={value}" for key, value in settings.items() if not key.startswith(NOT_SERVED)]
    with pykbroker(data, *ours) as broker:
        asker = SocketAsker(broker.bootstrap)
        for transactional_id, served in manifest["served"]["transactions"].items():
            producer = TransactionalProducer(asker, transactional_id)
            row = producer.at_rest()
            if transactional_id != "tx-open":
                assert row.transaction_state == served["state"]
                assert (row.producer_id, row.producer_epoch) == (served["producer_id"], served["producer_epoch"])
        producer = TransactionalProducer(asker, "tx-open")
        row = producer.ended()
        assert (row.transaction_state, row.producer_id, row.producer_epoch) == ("CompleteAbort", 17, 2)
        topic = Topic("txn-open", ZERO_UUID)
        assert stable_offsets(asker, topic, offset=6) == (17, 17, [(17, 6)])
        # And the id goes on.
        assert producer.init() == 0
        assert producer.identity == (17, 3)
        assert producer.produce(topic).error_code == 0
        assert producer.end(True) == 0
        producer.at_rest()
        assert stable_offsets(asker, topic)[:2] == (19, 19)
        asker.client.close()
