"""Every test here speaks to a broker by its address alone: it runs against pykbroker and the real Kafka alike."""

import gc
import socket
import uuid
from collections.abc import Callable, Iterator

import pytest

from compat_tests.brokers import oracle, pykbroker
from compat_tests.cluster.namespaces import lack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bootstrap", help="HOST:PORT of a running broker; else pykbroker is started")
    parser.addoption("--oracle", action="store_true", help="start the real Apache Kafka 4.3.1 and test against it")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default")  # the clients' own deprecations are not ours to mend
    # kafka-python leaves a socket behind, never connected, whenever a connection is refused.
    config.addinivalue_line("filterwarnings", r"ignore:unclosed <socket.*laddr=\('0\.0\.0\.0'.*\)>:ResourceWarning")
    config.addinivalue_line("markers", "own_broker: runs pykbroker itself; left out where a broker is given")
    config.addinivalue_line("markers", "network: loses packets; left out where the machine lets nobody make networks")


def pytest_sessionfinish() -> None:
    """Those sockets again: the last collection of pytest itself does not know of the line above, and would fail."""
    for each in gc.get_objects():
        if isinstance(each, socket.socket) and each.fileno() >= 0:
            each.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--bootstrap") or config.getoption("--oracle"):
        leave_out("own_broker", config, items)
    if any(item.get_closest_marker("network") for item in items) and lack():
        leave_out("network", config, items)


def leave_out(marker: str, config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker(marker)]
    config.hook.pytest_deselected(items=marked)
    items[:] = [item for item in items if item not in marked]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if why := lack():
        terminalreporter.write_line(f"Left out: the tests on networks that lose packets; {why}")


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
