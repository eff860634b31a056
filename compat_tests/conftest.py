"""Every test here speaks to a broker by its address alone: it runs against pykbroker and the real Kafka alike."""

import gc
import socket
import uuid
from collections.abc import Callable, Iterator

import pytest

from compat_tests.brokers import oracle, pykbroker


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bootstrap", help="HOST:PORT of a running broker; else pykbroker is started")
    parser.addoption("--oracle", action="store_true", help="start the real Apache Kafka 4.3.1 and test against it")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default")  # the clients' own deprecations are not ours to mend
    # kafka-python leaves a socket behind, never connected, whenever a connection is refused.
    config.addinivalue_line("filterwarnings", r"ignore:unclosed <socket.*laddr=\('0\.0\.0\.0'.*\)>:ResourceWarning")
    config.addinivalue_line("markers", "own_broker: runs pykbroker itself; left out where a broker is given")


def pytest_sessionfinish() -> None:
    """Those sockets again: the last collection of pytest itself does not know of the line above, and would fail."""
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.fileno() >= 0:
            each.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (config.getoption("--bootstrap") or config.getoption("--oracle")):
        return
    own = [item for item in items if item.get_closest_marker("own_broker")]
    config.hook.pytest_deselected(items=own)
    items[:] = [item for item in items if item not in own]


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = request.config.getoption("--bootstrap")
    if given:
        yield given
    elif request.config.getoption("--oracle"):
        with oracle() as address:
            yield address
    else:
        with pykbroker(tmp_path_factory.mktemp("broker") / "data") as broker:
            yield broker.bootstrap


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test uses, so that tests share one broker."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic(unique: Callable[[str], str]) -> str:
    return unique("topic")


@pytest.fixture
def group(unique: Callable[[str], str]) -> str:
    return unique("group")
