"""One broker for all of these tests: whatever one of them does to it, the next ones must find it well."""

from collections.abc import Iterator

import pytest

from compat_tests.wire.raw_client import RawClient
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from tests.hostile.broker_process import MOST_GROWTH, WatchedBroker

OUR_FAULT = ("Traceback", "because of a bug", " failed", "CRITICAL")


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedBroker]:
    broker = WatchedBroker(tmp_path_factory.mktemp("hostile"))
    yield broker
    assert broker.process.stop() == 0


@pytest.fixture
def broker(shared_broker: WatchedBroker) -> Iterator[WatchedBroker]:
    """Watches: an old connection and a new one are served afterwards, memory stays, nothing was our fault."""
    broker = shared_broker
    broker.log()
    request = ApiVersionsRequest(client_software_name="witness", client_software_version="1")
    broker.allowance = MOST_GROWTH
    before = broker.forget_peak()
    with RawClient(broker.bootstrap) as witness:
        assert witness.ask(request, 3).error_code == 0
        yield broker
        assert witness.ask(request, 3).error_code == 0
    assert broker.is_serving()
    grown = broker.peak() - before
    assert grown < broker.allowance, f"{before >> 20} MiB before, {grown >> 20} MiB more at the peak"
    assert not [line for line in broker.process.errors.read_text().splitlines() if is_complaint(line)]


def is_complaint(line: str) -> bool:
    """A bug of ours; not what the broker tells of its clients, such as a member of a group that has failed."""
    return " INFO " not in line and any(sign in line for sign in OUR_FAULT)
