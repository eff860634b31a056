"""A broker that tests stop, kill and start as they like, with settings of their own: ours, or with --oracle Kafka."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from compat_tests.brokers import PykbrokerProcess, pykbroker
from compat_tests.disk.handover import HEAP, data_of
from tools.oracle import cluster


class Restartable(Protocol):
    data_dir: Path

    @property
    def bootstrap(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> object: ...

    def kill(self) -> object: ...


class KafkaProcess:
    """As PykbrokerProcess; on the same port after each start."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.data_dir = data_of(folder)
        self.running = cluster.up(folder, settings=settings, heap=HEAP)
        self._again = lambda: cluster.up(folder, port=self.running.nodes[0].port, settings=settings, heap=HEAP)

    @property
    def bootstrap(self) -> str:
        return self.running.bootstrap

    def start(self) -> None:
        self.running = self._again()

    def stop(self) -> None:
        self.running.stop()

    def kill(self) -> None:
        process = self.running.nodes[0].process
        process.kill()
        process.wait()


@contextmanager
def restartable(request: pytest.FixtureRequest, folder: Path, settings: Mapping[str, str]) -> Iterator[Restartable]:
    """A broker that --bootstrap names is nobody's to stop: the test is skipped then."""
    if request.config.getoption("--bootstrap"):
        pytest.skip("needs a broker of its own")
    if request.config.getoption("--oracle"):
        kafka = KafkaProcess(folder, settings)
        try:
            yield kafka
        finally:
            kafka.stop()
        return
    data_of(folder).parent.mkdir()
    with pykbroker(data_of(folder), *(f"{name}={value}" for name, value in settings.items())) as broker:
        ours: PykbrokerProcess = broker
        yield ours
