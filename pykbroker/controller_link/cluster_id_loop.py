"""Asks the controllers which cluster this is, for a node with empty directories (DescribeCluster, KIP-919)."""

from collections.abc import Sequence
from logging import getLogger
from typing import TYPE_CHECKING, Final, cast

import trio

from pykbroker.errors import KafkaError, MalformedFrame, NodeUnreachable
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.lookup import error_of
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse

if TYPE_CHECKING:
    from pykbroker.request import Connect

LOG = getLogger("pykbroker.broker")
RETRY_PAUSE: Final = 0.2
REQUEST_TIMEOUT: Final = 2.0
_CONTROLLERS: Final = 2  # DescribeClusterRequest.EndpointType


async def cluster_id_of(
    controllers: Sequence[tuple[str, int]], connect: "Connect", client_id: str, timeout: float
) -> str:
    """What the first that answers says. `timeout` in seconds. Raises KafkaError REQUEST_TIMED_OUT."""
    reason = "nobody was asked"
    with trio.move_on_after(timeout):
        while True:
            for where in controllers:
                try:
                    return await _ask(where, connect, client_id)
                except (NodeUnreachable, MalformedFrame) as error:
                    reason = str(error)
            await trio.sleep(RETRY_PAUSE)
    raise KafkaError(
        ErrorCode.REQUEST_TIMED_OUT,
        f"no controller has told the cluster.id within {timeout:g} s; the last attempt: {reason}. Is it running, and "
        "do controller.quorum.bootstrap.servers or controller.quorum.voters name its controller listener?",
    )


async def _ask(where: tuple[str, int], connect: "Connect", client_id: str) -> str:
    channel = connect(where, client_id)
    try:
        versions = await channel.api_versions(timeout=REQUEST_TIMEOUT)
        highest = versions.get(ApiKey.DESCRIBE_CLUSTER, (0, -1))[1]
        if highest < 1:
            raise NodeUnreachable(f"{where[0]}:{where[1]} cannot tell the cluster.id: format this node's directories")
        request = DescribeClusterRequest(endpoint_type=_CONTROLLERS)
        answer = await channel.send(ApiKey.DESCRIBE_CLUSTER, min(highest, 2), request, timeout=REQUEST_TIMEOUT)
        response = cast(DescribeClusterResponse, answer)
        if response.error_code or not response.cluster_id:
            said = response.error_message or error_of(response.error_code).name
            raise NodeUnreachable(f"{where[0]}:{where[1]} does not tell the cluster.id: {said}")
        LOG.info("Joining cluster %s, as the controller at %s:%d says", response.cluster_id, *where)
        return response.cluster_id
    finally:
        channel.close()
