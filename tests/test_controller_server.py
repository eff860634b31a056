"""A broker that is controller too: with a controller listener others join it, without one there is nothing of that."""

import sys
from pathlib import Path

import pytest

from pykbroker.network.node_channel import SocketChannel
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from tests.test_broker import NODE_ID, create, running
from tests.test_controller_node import ask, registration

LISTENERS = "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"
TIMEOUT = 10.0


async def test_another_broker_joins_a_node_of_both_roles(tmp_path: Path) -> None:
    async with running(tmp_path, listeners=LISTENERS) as (broker, client):
        (endpoint,) = broker.image.controllers[NODE_ID].endpoints
        channel = SocketChannel((endpoint.host, endpoint.port), "2")
        versions = await channel.api_versions(timeout=TIMEOUT)
        assert {ApiKey.FETCH, ApiKey.BROKER_REGISTRATION, ApiKey.ENVELOPE} <= set(versions)
        assert ApiKey.PRODUCE not in versions
        registered = await ask(channel, registration(broker, 9), 4)  # type: ignore[arg-type]
        assert registered.error_code == 0
        assert set(broker.image.brokers) == {NODE_ID, 9}
        # Clients see neither the listener nor the broker that is fenced.
        cluster = await client.ask(DescribeClusterRequest(), 2)
        assert [row.broker_id for row in cluster.brokers] == [NODE_ID]
        told = await client.ask(ApiVersionsRequest(client_software_name="a", client_software_version="1"), 3)
        assert ApiKey.BROKER_REGISTRATION not in [row.api_key for row in told.api_keys]
        await create(client, "t")
        channel.close()


async def test_without_a_listener_nothing_of_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pykbroker.controller_apis", "pykbroker.raft.metadata_fetch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    async with running(tmp_path) as (broker, client):
        await create(client, "t")
        assert broker.image.controllers[NODE_ID].endpoints == ()
        assert not {"pykbroker.controller_apis", "pykbroker.raft.metadata_fetch"} & set(sys.modules)
