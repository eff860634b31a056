"""A broker as a process of its own, watched from outside: log lines, memory, file descriptors, whether it serves."""

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compat_tests.brokers import PykbrokerProcess
from compat_tests.wire.raw_client import ConnectionClosed, RawClient
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest

SETTINGS = (
    "offsets.topic.num.partitions=2",  # fewer files: these tests are about other things
    "num.partitions=1",
    "offsets.topic.replication.factor=1",
)
TIMEOUT = 30  # seconds until a broker that does not answer has failed
MIB = 1024 * 1024
MOST_GROWTH = 48 * MIB  # what one hostile request may cost at its peak, unless the test says why it may be more


class WatchedBroker:
    def __init__(self, folder: Path, *settings: str) -> None:
        self.process = PykbrokerProcess(folder / "data", *SETTINGS, *settings)
        try:
            self.process.start()
        except RuntimeError:
            self.process.kill()
            raise
        self._read = 0
        self.allowance = MOST_GROWTH
        self.log()

    @property
    def pid(self) -> int:
        assert self.process.process is not None
        return self.process.process.pid

    @property
    def bootstrap(self) -> str:
        return self.process.bootstrap

    def log(self) -> list[str]:
        """Lines since the last call, but for those that say how busy it is, and for the ends of groups made earlier."""
        text = self.process.errors.read_text()
        lines, self._read = text[self._read :].splitlines(), len(text)
        return [line for line in lines if " slow: " not in line and "coordinator.group" not in line]

    def memory(self) -> int:
        """Resident bytes."""
        return self._status("VmRSS")

    def peak(self) -> int:
        return self._status("VmHWM")

    def forget_peak(self) -> int:
        """Peaks count from now on; returns the memory now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.memory()

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.process.port), TIMEOUT)

    def client(self) -> RawClient:
        return RawClient(self.bootstrap)

    def ask(self, request: Message, version: int) -> Any:
        with self.client() as client:
            return client.ask(request, version)

    def is_serving(self) -> bool:
        return bool(self.ask(ApiVersionsRequest(client_software_name="x", client_software_version="1"), 3).api_keys)

    def eventually(self, holds: Callable[[], bool]) -> None:
        """It notices what happens on sockets between its answers: waits for it by asking."""
        deadline = time.monotonic() + TIMEOUT
        while not holds():
            assert self.is_serving()
            assert time.monotonic() < deadline

    def create(self, name: str, **configs: str) -> None:
        settings = [CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()]
        topic = CreatableTopic(name=name, num_partitions=1, replication_factor=1, configs=settings)
        (row,) = self.ask(CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 7).topics
        assert row.error_code == 0, row

    def is_closed_by(self, data: bytes) -> bool:
        """Sends bytes; whether the broker hangs up without a word."""
        with self.connect() as connection:
            # It may hang up while we still send.
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            try:
                return connection.recv(1) == b""
            except ConnectionError:
                return True

    def refuses(self, request: Message, version: int) -> bool:
        """Whether a request ends the connection."""
        with self.client() as client:
            client.send(request, version)
            try:
                client.receive(request.API_KEY, version)
            except ConnectionClosed:
                return True
            return False


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def header(key: int, version: int, client_id: bytes = b"\0\3raw", tags: bytes = b"") -> bytes:
    return struct.pack(">hhi", key, version, 7) + client_id + tags
