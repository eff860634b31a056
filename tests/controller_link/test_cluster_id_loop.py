"""Which cluster a node with empty directories joins: the controllers tell."""

from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.controller_link.cluster_id_loop import cluster_id_of
from pykbroker.errors import KafkaError, NodeUnreachable
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from tests.controller_link.scripted_channels import Address, Controllers

A, B = ("a", 1), ("b", 2)
TOLD = DescribeClusterResponse(cluster_id="MkU3OEVBNTcwNTJENDM2Qg")


async def test_the_first_that_answers_tells() -> None:
    controllers = Controllers(lambda where, *_: TOLD if where == B else NodeUnreachable("refused"))
    assert await cluster_id_of([A, B], controllers.connect, "2", 60) == TOLD.cluster_id
    assert [(where, key, version) for _, where, key, version, _ in controllers.asked] == [
        (A, ApiKey.DESCRIBE_CLUSTER, 2),
        (B, ApiKey.DESCRIBE_CLUSTER, 2),
    ]
    assert controllers.asked[1][4] == DescribeClusterRequest(endpoint_type=2)
    assert all(channel.is_closed for channel in controllers.channels)


async def test_a_controller_that_starts_later_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    answers: list[Any] = [*[NodeUnreachable("refused")] * 7, TOLD]
    controllers = Controllers(lambda *_: answers.pop(0))
    assert await cluster_id_of([A], controllers.connect, "2", 60) == TOLD.cluster_id
    assert trio.current_time() == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("answer", "highest", "reason"),
    [
        (NodeUnreachable("a:1: Connection refused"), 2, "a:1: Connection refused"),
        (
            DescribeClusterResponse(error_code=115, error_message="not here"),
            2,
            "does not tell the cluster.id: not here",
        ),
        (DescribeClusterResponse(error_code=41), 2, "does not tell the cluster.id: NOT_CONTROLLER"),
        (TOLD, 0, "a:1 cannot tell the cluster.id: format this node's directories"),
    ],
)
async def test_nobody_tells(answer: Any, highest: int, reason: str, autojump_clock: trio.testing.MockClock) -> None:
    def answered(where: Address, *_: Any) -> Any:
        return answer

    controllers = Controllers(answered)
    controllers.versions = {ApiKey.DESCRIBE_CLUSTER: (0, highest)}
    with pytest.raises(KafkaError, match=r"no controller has told the cluster\.id within 3 s") as caught:
        await cluster_id_of([A], controllers.connect, "2", 3)
    assert reason in str(caught.value)
    assert "controller.quorum.bootstrap.servers" in str(caught.value)
    assert caught.value.code == ErrorCode.REQUEST_TIMED_OUT
