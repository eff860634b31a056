"""Either broker on one directory, node 1, broker and controller in one: FOLDER/n1/data, as tools/oracle lays it out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compat_tests.brokers import PykbrokerProcess, pykbroker
from compat_tests.wire.conftest import SocketAsker
from tests.log.logs import golden_directory
from tools.oracle import cluster

# As tools/oracle/cluster.py starts Kafka; the cleaner looks often.
SETTINGS = {
    "transaction.state.log.num.partitions": "10",
    "offsets.topic.num.partitions": "10",
    "log.cleaner.backoff.ms": "100",
}
HEAP = "384m"
# Of the brokers that wrote the golden directories; ours has no authorizer yet, and no settings of Kafka's own tests.
NOT_OURS = ("authorizer.", "super.users", "allow.everyone", "internal.")


def data_of(folder: Path) -> Path:
    return folder / "n1" / "data"


@contextmanager
def ours_on(folder: Path, settings: Mapping[str, str] = SETTINGS) -> Iterator[PykbrokerProcess]:
    data_of(folder).parent.mkdir(parents=True, exist_ok=True)
    given = [f"{name}={value}" for name, value in settings.items() if not name.startswith(NOT_OURS)]
    with pykbroker(data_of(folder), *given) as broker:
        yield broker


@contextmanager
def kafka_on(folder: Path, settings: Mapping[str, str] | None = None, port: int = 0) -> Iterator[cluster.Cluster]:
    """The directory is there already: Kafka takes it as it is, without formatting. `port` 0: a free one."""
    assert (data_of(folder) / "meta.properties").exists()
    with cluster.up(folder, port=port, settings=settings, heap=HEAP) as running:
        yield running


@contextmanager
def asking(bootstrap: str) -> Iterator[SocketAsker]:
    asker = SocketAsker(bootstrap)
    try:
        yield asker
    finally:
        asker.client.close()


def golden(state: str, folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Unpacks a golden directory; its manifest, and the settings to serve it with."""
    (folder / "n1").mkdir()
    _, manifest = golden_directory(state, folder / "n1")
    return manifest, {**manifest["settings"], "transaction.abort.timed.out.transaction.cleanup.interval.ms": "300"}
