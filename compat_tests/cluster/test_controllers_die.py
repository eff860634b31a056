"""Two brokers of ours in a quorum of three real controllers, whose leader dies, comes back, dies, hangs."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from compat_tests.cluster.mixed import eventually
from compat_tests.cluster.nodes import OurNode
from compat_tests.cluster.real_quorum import RealQuorum, hanging, real_quorum
from compat_tests.cluster.test_local_cluster import PARTITIONS, Load, read_numbers
from compat_tests.disk.handover import asking
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from pykbroker.protocol.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from tools.oracle.cluster import HOST

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(600)]
SECONDS = 60
ONE, TWO = 1, 2


class Here:
    """Broker 1 stays, broker 2 comes and goes: each time broker 1 asks the new controller to let it into the ISR."""

    def __init__(self, quorum: RealQuorum) -> None:
        self.quorum = quorum
        self.brokers = {number: quorum.broker(number) for number in (ONE, TWO)}
        self.bootstrap = f"{HOST}:{self.brokers[ONE].port}"
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def ask(self, request: Any, version: int) -> Any:
        with asking(self.bootstrap) as asker:
            return asker.ask(request, version)

    def describe_quorum(self) -> Any:
        request = DescribeQuorumRequest(topics=[TopicData("__cluster_metadata", [PartitionData(0)])])
        (row,) = self.ask(request, 2).topics[0].partitions
        return row

    def active(self) -> int:
        """The controller that leads the quorum, asked through broker 1."""
        return int(self.describe_quorum().leader_id)

    def has_caught_up(self, number: int) -> bool:
        row = self.describe_quorum()
        ends = {voter.replica_id: voter.log_end_offset for voter in row.current_voters}
        return bool(ends[number] >= row.high_watermark > 0)

    def unfenced(self) -> set[int]:
        rows = self.ask(DescribeClusterRequest(include_fenced_brokers=True), 2).brokers
        return {row.broker_id for row in rows if not row.is_fenced}

    def isr(self, topic: str) -> set[int]:
        (first, *_) = self.admin.list_topics(topic, SECONDS).topics[topic].partitions.values()
        return set(first.isrs)

    def await_isr(self, topic: str, *numbers: int) -> None:
        eventually(lambda: self.isr(topic) == set(numbers), lambda: self.isr(topic))

    def create(self, topic: str, *replicas: int) -> None:
        new = NewTopic(topic, PARTITIONS, replica_assignment=[list(replicas)] * PARTITIONS)
        self.admin.create_topics([new], operation_timeout=SECONDS, request_timeout=SECONDS)[topic].result(SECONDS)

    def producer_id(self, number: int) -> int:
        """A new one: a broker that has just started has to ask its controller for some."""
        found = []

        def is_there() -> bool:
            with asking(f"{HOST}:{self.brokers[number].port}") as asker:
                found.append(asker.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=-1), 5))
            return not found[-1].error_code

        eventually(is_there, lambda: found)
        return int(found[-1].producer_id)


@pytest.fixture(params=["static", "dynamic"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Here]:
    with real_quorum(tmp_path, dynamic=request.param == "dynamic") as quorum, ExitStack() as stack:
        made = Here(quorum)
        for broker in made.brokers.values():
            stack.callback(stop, broker)
            broker.start()
        yield made
    for broker in made.brokers.values():
        assert broker.complaints() == []


def stop(broker: OurNode) -> None:
    if broker.process is not None:
        broker.stop()


def test_the_brokers_find_the_new_leader(here: Here) -> None:
    """Fetches of metadata, heartbeats, AlterPartition, AllocateProducerIds and clients' requests go to it."""
    for topic in ("replicated", "other"):
        here.create(topic, ONE, TWO)
    load = Load(here.bootstrap, "replicated")
    load.start()
    try:
        serves(here, load)
        seen = [killed(here, load), killed(here, load), hung(here, load)]
    finally:
        load.stop()
    assert load.failed == []
    assert all(before != after for before, after in seen), seen
    written = read_numbers(here.bootstrap, "replicated")
    assert sorted(number for each in written for number in each) == sorted(load.acknowledged)
    for broker in here.brokers.values():
        assert "registering anew" not in broker.errors.read_text()
    print(f"controllers before and after: {seen}")


def killed(here: Here, load: Load) -> tuple[int, int]:
    """Who led before and after. Broker 2 comes back to a controller that has not answered it before."""
    before = here.active()
    here.brokers[TWO].kill()
    here.await_isr("replicated", ONE)
    here.quorum.controllers[before].kill()
    started = time.monotonic()
    here.create(f"after-{started}", ONE)
    print(f"controller {before} was killed; the next created a topic after {time.monotonic() - started:.1f} s")
    serves(here, load)
    here.brokers[TWO].start()
    here.await_isr("replicated", ONE, TWO)
    assert here.producer_id(TWO) > 0
    after = here.active()
    here.quorum.start(before)
    eventually(lambda: here.has_caught_up(before), here.describe_quorum)
    return before, after


def hung(here: Here, load: Load) -> tuple[int, int]:
    """Its connections stay open, and nothing is answered; when it goes on, it leads no more."""
    before = here.active()
    with hanging(here.quorum.controllers[before]):
        here.create("after-the-hang", ONE, TWO)
        serves(here, load)
        after = here.active()
    eventually(lambda: here.has_caught_up(before), here.describe_quorum)
    assert here.active() == after
    return before, after


def serves(here: Here, load: Load) -> None:
    load.await_progress()
    assert ONE in here.unfenced()
    producer = Producer({"bootstrap.servers": here.bootstrap, "transactional.id": "one", "log_level": 0})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce("other", "value")
    producer.commit_transaction(SECONDS)
