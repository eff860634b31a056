"""Thousands of groups and transactional ids that nobody uses: each costs about what it says, and goes when told to."""

from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.wire.raw_client import RawClient
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.list_groups import ListGroupsRequest
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pykbroker.protocol.messages.streams_group_heartbeat import StreamsGroupHeartbeatRequest, Subtopology, Topology
from tests.hostile.broker_process import MIB, WatchedBroker

COUNT = 1000
AT_ONCE = 100
MOST_EACH = 10_000  # bytes of a group without members, its records in the log's page cache apart
TOPOLOGY = Topology(epoch=0, subtopologies=[Subtopology(subtopology_id="0", source_topics=["x"])])
Ask = tuple[Message, int]


def consumer(group: str, epoch: int) -> Ask:
    about: dict[str, Any] = {}
    if epoch == 0:
        about = {"rebalance_timeout_ms": 1000, "subscribed_topic_names": ["x"], "topic_partitions": []}
    return ConsumerGroupHeartbeatRequest(group_id=group, member_id="m", member_epoch=epoch, **about), 1


def share(group: str, epoch: int) -> Ask:
    topics = ["x"] if epoch == 0 else None
    return ShareGroupHeartbeatRequest(
        group_id=group, member_id="m", member_epoch=epoch, subscribed_topic_names=topics
    ), 1


def streams(group: str, epoch: int) -> Ask:
    about: dict[str, Any] = {}
    if epoch == 0:
        tasks: dict[str, Any] = {"active_tasks": [], "standby_tasks": [], "warmup_tasks": []}
        about = {"rebalance_timeout_ms": 1000, "topology": TOPOLOGY, "process_id": "p", "client_tags": [], **tasks}
    return StreamsGroupHeartbeatRequest(group_id=group, member_id="m", member_epoch=epoch, **about), 0


def classic(group: str, epoch: int) -> Ask:
    """Before version 4 nobody is asked to come back with an id; leaving without one is refused."""
    if epoch < 0:
        return LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id="m")]), 5
    protocols = [JoinGroupRequestProtocol(name="range", metadata=b"")]
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=10_000,
        protocol_type="consumer",
        protocols=protocols,
    ), 4


@pytest.fixture(scope="module")
def coordinated(shared_broker: WatchedBroker) -> None:
    for key_type in (0, 1):
        request = FindCoordinatorRequest(coordinator_keys=["x"], key_type=key_type)
        shared_broker.eventually(lambda request=request: not shared_broker.ask(request, 4).coordinators[0].error_code)


def codes(client: RawClient, asks: list[Ask]) -> set[int]:
    found = set()
    for start in range(0, len(asks), AT_ONCE):
        part = asks[start : start + AT_ONCE]
        for request, version in part:
            client.send(request, version)
        found |= {client.receive(request.API_KEY, version).error_code for request, version in part}
    return found


@pytest.mark.parametrize(
    ("kind", "joined"),
    [(consumer, E.NONE), (share, E.NONE), (streams, E.NONE), (classic, E.MEMBER_ID_REQUIRED)],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.usefixtures("coordinated")
def test_thousands_of_empty_groups(kind: Callable[[str, int], Ask], joined: E, broker: WatchedBroker) -> None:
    names = [f"{kind.__name__}-{number}" for number in range(COUNT)]
    before = broker.memory()
    with broker.client() as client:
        assert codes(client, [kind(name, 0) for name in names]) == {joined}
        assert codes(client, [kind(name, -1) for name in names]) == {E.NONE}
        assert broker.memory() - before < COUNT * MOST_EACH + 4 * MIB
        listed = {group.group_id for group in client.ask(ListGroupsRequest(), 5).groups}
        assert listed.issuperset(names) or kind is classic  # nobody ever was in those
        answer = client.ask(DeleteGroupsRequest(groups_names=names), 2)
        assert {row.error_code for row in answer.results} <= {E.NONE, E.GROUP_ID_NOT_FOUND}
        left = {group.group_id for group in client.ask(ListGroupsRequest(), 5).groups}
        assert left.isdisjoint(names)


@pytest.mark.usefixtures("coordinated")
def test_thousands_of_transactional_ids(broker: WatchedBroker) -> None:
    before = broker.memory()
    with broker.client() as client:
        for timeout, code in ((1000, E.NONE), (0, E.INVALID_TRANSACTION_TIMEOUT), (-1, E.INVALID_TRANSACTION_TIMEOUT)):
            requests: list[Ask] = [
                (InitProducerIdRequest(transactional_id=f"{timeout}-{number}", transaction_timeout_ms=timeout), 5)
                for number in range(COUNT)
            ]
            assert codes(client, requests) == {code}
    assert broker.memory() - before < COUNT * MOST_EACH + 4 * MIB
