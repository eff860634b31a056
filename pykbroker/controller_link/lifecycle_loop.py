"""The broker's own life in the cluster: register, unfence, heartbeat, go in order (KIP-631, KIP-841, KIP-966).

Kafka: BrokerLifecycleManager.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import trio

from pykbroker.errors import KafkaError
from pykbroker.ids import Endpoint, Uuid
from pykbroker.metadata.features import SUPPORTED_FEATURES, allows_cordoned_directories, allows_directories
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.registration import security_protocol_number
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from pykbroker.protocol.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
    Feature,
    Listener,
)

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message

LOG = logging.getLogger("pykbroker.lifecycle")
# Seconds between two requests while the controller has not yet granted what we want.
RETRY_PAUSE = 0.05
# The same for metadata, which are on their way.
CATCH_UP_PAUSE = 0.01
# Seconds between two registrations, as real brokers have them after a refusal.
REGISTRATION_PAUSE = 2.0
# Refusals that waiting does not change.
_FINAL = (ErrorCode.INCONSISTENT_CLUSTER_ID, ErrorCode.INVALID_REGISTRATION, ErrorCode.UNSUPPORTED_VERSION)


class Link(Protocol):
    """What this loop needs of a ControllerLink."""

    async def call(self, api_key: int, request: "Message") -> "Message":
        """Raises KafkaError."""


class LifecycleLoop:
    """In this order: register(), catch_up(), then become what the metadata say, unfence(), run() as a task,
    controlled_shutdown().

    `image` gives the newest image that the broker knows; `applied_offset` up to where all of its parts have taken the
    metadata over, by default the same. `previous_epoch` is the broker epoch in the clean-shutdown
    files, -1 without: equal to the registered one, it says that nothing was lost and the broker may lead again.
    """

    def __init__(
        self,
        *,
        link: Link,
        config: "BrokerConfig",
        image: Callable[[], MetadataImage],
        node_id: int,
        cluster_id: str,
        incarnation_id: Uuid,
        directory_ids: Sequence[Uuid],
        endpoints: Sequence[Endpoint],
        rack: str | None = None,
        previous_epoch: int = -1,
        offline_directory_ids: Callable[[], Sequence[Uuid]] = lambda: (),
        on_untold_failure: Callable[[], None] = lambda: None,
        applied_offset: Callable[[], int] | None = None,
    ) -> None:
        self.broker_epoch = -1
        self._is_shutting_down = False
        self._is_silent = False  # the last heartbeat was not answered
        self._may_go = False
        # What waits for the controller's answer, and is sent again when it moves.
        self._under_way: BrokerHeartbeatRequest | None = None
        self._link = link
        self._config = config
        self._image = image
        self._applied_offset = applied_offset or (lambda: image().offset)
        self._node_id = node_id
        self._cluster_id = cluster_id
        self._incarnation_id = incarnation_id
        self._directory_ids = directory_ids
        self._endpoints = endpoints
        self._rack = rack
        self._previous_epoch = previous_epoch
        self._offline_directory_ids = offline_directory_ids
        self._on_untold_failure = on_untold_failure
        # Failed directories that the controller has not heard of yet, and until when it may (trio's seconds).
        self._untold: dict[Uuid, float] = {}
        self._failed = trio.Event()

    async def register(self) -> int:
        """The new broker epoch, which later goes into the clean-shutdown files.

        Asks again until initial.broker.registration.timeout.ms while the session of an earlier life of this broker is
        not over, or no controller answers. Raises KafkaError, whose message says what to do.
        """
        deadline = trio.current_time() + self._config.initial_broker_registration_timeout_ms / 1000
        said = -1
        while True:
            try:
                return await self._register()
            except KafkaError as error:
                is_late = trio.current_time() + REGISTRATION_PAUSE >= deadline
                if error.code in _FINAL or is_late:
                    raise KafkaError(error.code, self._refusal(error)) from error
                if error.code != said:
                    said = error.code
                    LOG.warning("%s Trying again.", self._refusal(error))
            await trio.sleep(REGISTRATION_PAUSE)

    def _refusal(self, error: KafkaError) -> str:
        """For people."""
        who = f"Broker {self._node_id} cannot register with the controller"
        if error.code == ErrorCode.DUPLICATE_BROKER_REGISTRATION:
            seconds = self._config.broker_session_timeout_ms / 1000
            return (
                f"{who}: another process is registered with node.id={self._node_id}. If that was this broker, stopped "
                f"or killed a moment ago, its session ends within {seconds:g} s (broker.session.timeout.ms of the "
                "controller); if not, give each broker a node.id of its own."
            )
        if error.code == ErrorCode.INCONSISTENT_CLUSTER_ID:
            return (
                f"{who}: it belongs to another cluster than this broker's data, whose cluster.id is "
                f"{self._cluster_id}. Point this broker to its own controllers, or give it empty directories."
            )
        if error.code == ErrorCode.INVALID_REGISTRATION:
            return f"{who}: its log directories, listeners or features do not suit the cluster: {error}."
        if error.code == ErrorCode.UNSUPPORTED_VERSION:
            return (
                f"{who}: the cluster has finalized a feature level that this pykbroker does not have: {error}. See "
                "kafka-features describe."
            )
        return f"{who}: {error}."

    async def _register(self) -> int:
        request = BrokerRegistrationRequest(
            broker_id=self._node_id,
            cluster_id=self._cluster_id,
            incarnation_id=self._incarnation_id,
            listeners=[
                Listener(
                    name=e.listener,
                    host=e.host,
                    port=e.port,
                    security_protocol=security_protocol_number(e.security_protocol),
                )
                for e in self._endpoints
            ],
            features=self._features(),
            rack=self._rack,
            log_dirs=[each for each in self._directory_ids if each not in self._offline_directory_ids()],
            previous_broker_epoch=self._previous_epoch,
        )
        response = cast(BrokerRegistrationResponse, await self._link.call(ApiKey.BROKER_REGISTRATION, request))
        self.broker_epoch = response.broker_epoch
        return self.broker_epoch

    def _features(self) -> list[Feature]:
        """What we honour. To a controller of our own also what the cluster has finalized beyond: a directory of a real
        Kafka must stay servable. Controllers elsewhere are told the truth, and refuse."""
        ranges = dict(SUPPORTED_FEATURES)
        has_own_controller = "controller" in self._config.process_roles
        for name, level in self._image().features.finalized.items() if has_own_controller else ():
            low, high = ranges.get(name, (0, 0))
            ranges[name] = (low, max(high, level))
        return [
            Feature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in ranges.items()
        ]

    async def catch_up(self) -> None:
        """Returns once what this broker knows holds its registration, and all that this led to: metadata from before
        may still say that it leads (BrokerLifecycleManager.initialCatchUpFuture). Raises KafkaError as run()."""
        # The controller answers, it does not call: there is no event to wait for.
        while (response := await self._heartbeat(want_fence=True)) is None or not response.is_caught_up:  # noqa: ASYNC110
            await trio.sleep(CATCH_UP_PAUSE)

    async def unfence(self) -> None:
        """Returns once the broker may lead partitions. Raises KafkaError as run()."""
        while (response := await self._heartbeat()) is None or response.is_fenced:  # noqa: ASYNC110  # as above
            await trio.sleep(RETRY_PAUSE)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Heartbeats until controlled_shutdown(), which sends its own: one that does not ask to go would unfence again.

        Who is unregistered although it lives (any client may, where nothing forbids it) registers anew. A controller
        that does not answer is asked again. Raises KafkaError when the controller knows a newer incarnation.
        """
        task_status.started()
        while not self._is_shutting_down:
            await self._pause(self._config.broker_heartbeat_interval_ms / 1000)
            if not self._is_shutting_down:
                await self._tell_directories()
                await self._heartbeat()

    async def _tell_directories(self) -> None:
        """A registration of a metadata.version that knew of none is made anew when the next one does: what lies in
        directories that the controller has not heard of counts as offline (BrokerRegistrationTracker)."""
        image = self._image()
        own = image.brokers.get(self._node_id)
        is_up_to_date = own is None or own.directories or not allows_directories(image.features.metadata_version)
        if is_up_to_date or not self._directory_ids:
            return
        LOG.info("Registering again, with the log directories")
        try:
            await self._register()
        except KafkaError as error:
            LOG.warning("%s Trying again.", self._refusal(error))

    async def _pause(self, seconds: float) -> None:
        """Short when a directory has failed."""
        with trio.move_on_after(seconds):
            if not self._untold:
                await self._failed.wait()
                return
            await trio.sleep(RETRY_PAUSE)

    def directory_failed(self, directory: Uuid) -> None:
        """The controller shall hear of it at once: it must not take this broker for the leader of what lay there."""
        self._untold[directory] = trio.current_time() + self._config.log_dir_failure_timeout_ms / 1000
        self._failed.set()
        self._failed = trio.Event()

    async def watch_failures(self) -> None:
        """A task beside run(): gives up when the controller cannot be told of a directory that has failed
        (BrokerLifecycleManager.OfflineDirBrokerFailureEvent)."""
        while True:
            with trio.move_on_at(min(self._untold.values(), default=float("inf"))):
                await self._failed.wait()
            late = [directory for directory, deadline in self._untold.items() if deadline <= trio.current_time()]
            if late:
                LOG.error("Log directory %s has failed, and no controller could be told in time", late[0])
                self._on_untold_failure()
                return

    async def controlled_shutdown(self) -> None:
        """Returns once this broker leads nothing and is fenced; then the logs may be closed.

        Also when no controller has answered for a whole session: by then it has fenced this broker, if there is one.
        """
        self._is_shutting_down = True
        if self._under_way is not None:
            # Sent once more it may come after the leave to go, and would unfence this broker.
            self._under_way.want_shut_down = True
        try:
            await self._leave()
        except KafkaError as error:
            LOG.warning("Stopping without the controller's leave: %s", error.message or error)

    async def _leave(self) -> None:
        answered_before = False
        patience = self._config.broker_session_timeout_ms / 1000
        deadline = trio.current_time() + patience
        while True:
            with trio.move_on_at(deadline):
                if await self._heartbeat(want_shut_down=True) is not None:
                    deadline = trio.current_time() + patience
            if self._may_go:
                return
            if trio.current_time() >= deadline:
                LOG.warning("Stopping without the controller's leave: it has not answered for %g s", patience)
                return
            if answered_before or self._is_silent:
                await trio.sleep(RETRY_PAUSE)
            answered_before = True

    async def _heartbeat(
        self, *, want_fence: bool = False, want_shut_down: bool = False
    ) -> BrokerHeartbeatResponse | None:
        """None: no controller answered."""
        can_cordon = allows_cordoned_directories(self._image().features.metadata_version)
        request = BrokerHeartbeatRequest(
            broker_id=self._node_id,
            broker_epoch=self.broker_epoch,
            current_metadata_offset=self._applied_offset(),
            want_fence=want_fence,
            want_shut_down=want_shut_down,
            offline_log_dirs=list(self._offline_directory_ids()),
            cordoned_log_dirs=[] if can_cordon else None,
        )
        self._under_way = request
        try:
            response = cast(BrokerHeartbeatResponse, await self._link.call(ApiKey.BROKER_HEARTBEAT, request))
        except KafkaError as error:
            return await self._refused(error)
        finally:
            self._under_way = None
        if self._is_silent:
            self._is_silent = False
            LOG.info("The controller answers heartbeats again")
        self._may_go = response.should_shut_down
        for directory in request.offline_log_dirs:
            self._untold.pop(directory, None)
        return response

    async def _refused(self, error: KafkaError) -> BrokerHeartbeatResponse | None:
        """Raises KafkaError when this broker must stop."""
        if error.code != ErrorCode.STALE_BROKER_EPOCH:
            if not self._is_silent:
                self._is_silent = True
                LOG.warning("No heartbeat reaches the controller: %s. Trying again.", error.message or error)
            return None
        known = self._image().brokers.get(self._node_id)
        if known is not None and known.epoch > self.broker_epoch:
            raise KafkaError(
                error.code,
                f"another process has registered with node.id={self._node_id}: each broker needs one of its own",
            ) from error
        if known is None:  # else the image is behind the controller, and the next heartbeat will tell
            LOG.warning("The controller does not know this broker any more: registering anew")
            await self.register()
        return BrokerHeartbeatResponse(is_fenced=True)
