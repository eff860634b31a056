"""A broker whose controllers are elsewhere: an observer of their log, and requests over the wire. Kafka: SharedServer's
raftManager of a node with process.roles=broker."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

import trio

from pykbroker.config.quorum import bootstrap_controllers, quorum_voters
from pykbroker.controller_link.remote_loop import RemoteControllerLink
from pykbroker.raft.metadata_loader import MetadataLoader
from pykbroker.raft.observer import Observer
from pykbroker.raft.observer_log import MetadataLost
from pykbroker.raft.observer_loop import FATAL, ObserverLoop
from pykbroker.raft.opening import open_observer_log
from pykbroker.raft.snapshot_generator import SnapshotGenerator
from pykbroker.shared_server import StartError

if TYPE_CHECKING:
    from pykbroker.shared_server import SharedServer


class ObserverServer:
    """Implements shared_server.MetadataSource."""

    def __init__(self, shared: "SharedServer") -> None:
        self._shared = shared
        self._observer: Observer
        self._loop: ObserverLoop
        self._is_started = False
        self.link: RemoteControllerLink

    def open(self, opened: ExitStack) -> None:
        """Raises StartError, CANNOT_START."""
        shared = self._shared
        directory = shared.metadata_directory
        try:
            log = open_observer_log(directory.path, files=shared.logs.files, clock=shared.clock, config=shared.config)
        except MetadataLost as error:
            raise StartError(str(error)) from error
        opened.callback(log.close)
        self._observer = Observer(
            node_id=shared.node_id,
            cluster_id=shared.cluster_id,
            directory_id=directory.id,
            voters=quorum_voters(shared.config),
            bootstrap=bootstrap_controllers(shared.config),
            log=log,
            config=shared.config,
        )
        self._loop = ObserverLoop(
            self._observer,
            MetadataLoader(log, shared.publisher),
            SnapshotGenerator(log, lambda: shared.image, shared.config, shared.clock),
            shared.connect,
            shared.clock,
            f"raft-client-{shared.node_id}",
        )
        self.link = RemoteControllerLink(
            node_id=shared.node_id,
            config=shared.config,
            connect=shared.connect,
            leader=lambda: self._observer.leader,
            image=lambda: shared.image,
            versions=lambda: self._loop.versions,
            kraft_version=lambda: log.quorum.kraft_version,
        )
        self._observer.on_leader = self.link.leader_changed
        opened.callback(self.link.close)

    async def start(self, system: trio.Nursery) -> None:
        """Returns once all that the controllers have committed is known here. Raises StartError."""
        timeout = self._shared.config.initial_broker_registration_timeout_ms / 1000
        try:
            with trio.move_on_after(timeout):
                await system.start(self._observe, name="metadata observer")
                self._is_started = True
        except FATAL as error:
            raise StartError(str(error)) from error
        if not self._is_started:
            raise StartError(
                f"No metadata came from a controller within {timeout:g} s (initial.broker.registration.timeout.ms); "
                f"the last attempt: {self._observer.last_failure}. Is the controller running, and do "
                "controller.quorum.bootstrap.servers or controller.quorum.voters name its controller listener?"
            )

    async def _observe(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            await self._loop.run(task_status)
        except FATAL as error:
            if not self._is_started:
                raise
            self._shared.fail(f"it cannot follow the metadata any longer: {error}")

    def close(self) -> None:
        """Nothing but what open() left to be closed."""
