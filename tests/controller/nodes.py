"""The embedded controller over a real metadata log, with brokers that exist in the metadata alone."""

import os
import random
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import trio

from pykbroker.clock import Clock, ManualClock
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.controller_link.local import LocalControllerLink
from pykbroker.ids import Endpoint, Uuid
from pykbroker.log.files import Files
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.metadata.topics import PartitionImage
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationRequest, Feature, Listener
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.raft.opening import open_metadata_log
from tests.metadata.history import uuid
from tests.raft.logs import NOW, config

T = TypeVar("T")
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
FEATURES = tuple(
    Feature(name=name, min_supported_version=low, max_supported_version=high)
    for name, (low, high) in SUPPORTED_FEATURES.items()
)


class TrioClock:
    """Trio's time, also as wall time: a MockClock moves both."""

    def monotonic(self) -> float:
        return trio.current_time()

    def wall_ms(self) -> int:
        return NOW + round(trio.current_time() * 1000)


class LosingFiles(Files):
    """Knows how much of each file would outlive a power cut."""

    def __init__(self) -> None:
        self.synced: dict[str, int] = {}

    def fsync(self, fd: int) -> None:
        self.synced[os.readlink(f"/proc/self/fd/{fd}")] = os.fstat(fd).st_size

    def fsync_directory(self, path: str) -> None:
        return

    def cut_power(self, folder: Path) -> None:
        for path in folder.rglob("*.log"):
            os.truncate(path, min(self.synced.get(str(path), 0), path.stat().st_size))


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("it waits")


class ControllerNode:
    """Without a ControllerLoop everything is durable and answered at once."""

    def __init__(
        self,
        folder: Path,
        *,
        node_id: int = 1,
        clock: Clock | None = None,
        files: Files | None = None,
        **values: Any,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = clock or ManualClock(wall_ms=NOW)
        self.config = config(node_id=node_id, **values)
        self.log = open_metadata_log(str(folder), files=files or Files(), clock=self.clock, config=self.config)
        self.publisher = MetadataPublisher(CLUSTER)
        self.controller = Controller(
            node_id=node_id,
            cluster_id=CLUSTER,
            config=self.config,
            clock=self.clock,
            log=self.log,
            publisher=self.publisher,
            incarnation_id=uuid(77),
            rng=random.Random(1),
        )
        self.link = LocalControllerLink(self.controller, node_id)
        self.epochs: dict[int, int] = {}

    @property
    def image(self) -> MetadataImage:
        """What the brokers see."""
        return self.publisher.image

    def start(self) -> "ControllerNode":
        self.controller.start()
        return self

    def again(self, **values: Any) -> "ControllerNode":
        """Another process on the same directory; this one was not closed."""
        return ControllerNode(self.folder, clock=self.clock, **values).start()

    def partition(self, topic: str, index: int = 0) -> PartitionImage:
        found = self.image.topics.partition(topic, index)
        assert found is not None
        return found

    # What brokers say

    def registration(self, broker_id: int, **fields: Any) -> BrokerRegistrationRequest:
        values: dict[str, Any] = {
            "broker_id": broker_id,
            "cluster_id": CLUSTER,
            "incarnation_id": Uuid.random(),
            "listeners": [Listener(name="L", host="h", port=9090 + broker_id, security_protocol=0)],
            "features": list(FEATURES),
            "log_dirs": [uuid(broker_id)],
            "previous_broker_epoch": -1,
            **fields,
        }
        return BrokerRegistrationRequest(**values)

    def register(self, broker_id: int, **fields: Any) -> int:
        response: Any = now(self.link.call(ApiKey.BROKER_REGISTRATION, self.registration(broker_id, **fields)))
        self.epochs[broker_id] = response.broker_epoch
        return self.epochs[broker_id]

    def heartbeat_request(self, broker_id: int, **fields: Any) -> BrokerHeartbeatRequest:
        values: dict[str, Any] = {
            "broker_id": broker_id,
            "broker_epoch": self.epochs[broker_id],
            "current_metadata_offset": self.image.offset,
            **fields,
        }
        return BrokerHeartbeatRequest(**values)

    def heartbeat(self, broker_id: int, **fields: Any) -> BrokerHeartbeatResponse:
        response = now(self.link.call(ApiKey.BROKER_HEARTBEAT, self.heartbeat_request(broker_id, **fields)))
        assert isinstance(response, BrokerHeartbeatResponse)
        return response

    def bring_up(self, *broker_ids: int) -> None:
        """Registers and unfences."""
        for broker_id in broker_ids:
            self.register(broker_id)
            assert not self.heartbeat(broker_id).is_fenced

    # What clients want

    def write(self, records: Sequence[Message]) -> None:
        self.controller.submit(lambda _: ControllerResult(list(records), None)).result()

    def create(self, name: str, *assignment: Sequence[int]) -> None:
        """A topic with a partition on each of the lists of brokers."""
        self.write(topic_records(name, *assignment))

    def set_config(self, name: str, value: str | None, topic: str = "") -> None:
        kind = 2 if topic else 4
        self.write([ConfigRecord(resource_type=kind, resource_name=topic, name=name, value=value)])


def topic_records(name: str, *assignment: Sequence[int]) -> list[Message]:
    topic = Uuid.random()
    return [
        TopicRecord(name=name, topic_id=topic),
        *(
            PartitionRecord(
                topic_id=topic,
                partition_id=index,
                replicas=list(replicas),
                isr=list(replicas),
                leader=replicas[0],
                leader_epoch=0,
                partition_epoch=0,
                directories=[uuid(replica) for replica in replicas],
            )
            for index, replicas in enumerate(assignment)
        ),
    ]


def records_of(node: ControllerNode, since: int = 0) -> list[Message]:
    """The records in the log from offset `since` on."""
    loaded = open_metadata_log(
        str(node.folder), files=Files(), clock=ManualClock(wall_ms=NOW), config=node.config
    ).load()
    return [record for batch in loaded if batch.last_offset >= since for record in batch.records]


ENDPOINT = Endpoint("L", "PLAINTEXT", "h", 9091)
