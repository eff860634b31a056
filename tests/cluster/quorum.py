"""The controller of a simulated cluster: the real one, on a metadata log that loses nothing; its brokers read along."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.controller import Controller
from pykbroker.controller_link.local import LocalControllerLink
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from pykbroker.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from pykbroker.raft.opening import open_metadata_log
from pykbroker.request import RequestContext
from tests.cluster.world import NodeClock, World
from tests.replica.stand import UnsyncedFiles

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

CONTROLLER = 0
CLUSTER_ID = "simulated-cluster-id-0"
SESSION = 2.5
SETTINGS = {
    "process.roles": "controller",
    "broker.session.timeout.ms": str(int(SESSION * 1000)),
    "leader.imbalance.check.interval.seconds": "6",
    "unclean.leader.election.interval.ms": "4000",
}
Listener = Callable[[MetadataDelta, MetadataImage], None]


class Quorum:
    """`listeners` are told of each published change; `history` has them all."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.clock = NodeClock(world)
        self.config = BrokerConfig(SETTINGS)
        self.folder = folder
        self.history: list[tuple[MetadataDelta, MetadataImage]] = []
        self.listeners: list[Listener] = []
        self._waiting: list[tuple[int, Callable[[], object]]] = []
        self._looks = 0
        folder.mkdir(parents=True)
        self._start()

    def _start(self) -> None:
        publisher = MetadataPublisher(CLUSTER_ID)
        self.controller = Controller(
            node_id=CONTROLLER,
            cluster_id=CLUSTER_ID,
            config=self.config,
            clock=self.clock,
            log=open_metadata_log(str(self.folder), files=UnsyncedFiles(), clock=self.clock, config=self.config),
            publisher=publisher,
            directory_id=Uuid.random(),
            rng=self.world.random,
        )
        self.controller.start()
        self.link = LocalControllerLink(self.controller, CONTROLLER)
        publisher.subscribe(self)
        self._look()

    def restart(self) -> None:
        """Killed and started again at once: sessions begin anew."""
        self.controller.close()
        self._start()

    @property
    def image(self) -> MetadataImage:
        return self.controller.published_image

    def on_metadata_update(self, delta: MetadataDelta, image: MetadataImage) -> None:
        if self.history and image.offset <= self.history[-1][1].offset:
            return
        self.history.append((delta, image))
        for listener in self.listeners:
            listener(delta, image)
        waiting, self._waiting = self._waiting, []
        for serial, action in waiting:
            self.world.soon(action, serial)

    def wait(self, action: Callable[[], object]) -> None:
        """Called with the next change."""
        self._waiting.append((self.world.serial(), action))

    def _look(self) -> None:
        """Its deadlines, on time."""
        self._looks += 1
        looks = self._looks

        def look() -> None:
            if looks != self._looks:
                return
            now = self.clock.monotonic()
            if now >= self.controller.next_deadline():
                self.controller.on_deadline(now)
            self.world.after(0.25, look)

        self.world.after(0.25, look)

    # Requests

    def ask(self, request: "Message") -> "Message":
        """The answer, at once. Raises KafkaError."""
        ctx = RequestContext(request.API_KEY, request.MAX_VERSION, received_at=self.clock.monotonic())
        return finished(self.link.forward(ctx, request))

    def serve(self, request: "Message", reply: Callable[[Any], None]) -> bool:
        """Answers with a message or a KafkaError."""
        try:
            reply(self.ask(request))
        except KafkaError as error:
            reply(error)
        return True

    def create_topic(self, name: str, assignments: list[list[int]], configs: dict[str, str]) -> None:
        topic = CreatableTopic(
            name=name,
            num_partitions=-1,
            replication_factor=-1,
            assignments=[CreatableReplicaAssignment(index, ids) for index, ids in enumerate(assignments)],
            configs=[CreatableTopicConfig(*pair) for pair in configs.items()],
        )
        answer: Any = self.ask(CreateTopicsRequest(topics=[topic]))
        assert answer.topics[0].error_code == 0, answer

    def without_elr(self) -> None:
        """As clusters that were made before KIP-966 have it."""
        update = FeatureUpdateKey(feature="eligible.leader.replicas.version", max_version_level=0, upgrade_type=2)
        answer: Any = self.ask(UpdateFeaturesRequest(feature_updates=[update]))
        assert not answer.error_code, answer

    def close(self) -> None:
        self.controller.close()


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Of what need not wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError(f"{coroutine} waits")
