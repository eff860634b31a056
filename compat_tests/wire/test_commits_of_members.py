"""Who may commit and fetch the offsets of a group with a member: each kind of group, by right and wrong epochs, members
and instances. OffsetCommit, TxnOffsetCommit (KIP-447, 848, 932, 1071), OffsetFetch (KIP-848)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from pykbroker.protocol.messages.consumer_group_heartbeat import TopicPartitions as ConsumerPartitions
from pykbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pykbroker.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from pykbroker.protocol.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from pykbroker.protocol.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    Subtopology,
    TaskIds,
    Topology,
)
from pykbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_txn_offset_commit import new_group
from tests.handlers.cluster_asker import eventually
from tests.handlers.transaction_dialogue import LATER, begun

STRANGER = "stranger"


class Member(NamedTuple):
    """`leave` ends it: then the group is empty."""

    id: str
    epoch: int
    leave: Callable[[], Any]


class Case(NamedTuple):
    """Who says so. `epoch`: on top of the member's, None: -1."""

    name: str
    id: str | None
    epoch: int | None
    instance: str | None = None


OWN = "own"
CASES = (
    Case("right", OWN, 0),
    Case("stale", OWN, -1),
    Case("ahead", OWN, 1),
    Case("stranger", STRANGER, 0),
    Case("stranger without an epoch", STRANGER, None),
    Case("without an epoch", OWN, None),
    Case("without a member", "", 0),
    Case("nobody", "", None),
    Case("other instance", OWN, 0, "i"),
    Case("nobody's instance", "", None, "i"),
)


def classic(asker: SocketAsker, group: str, topic: Topic) -> Member:
    def join(member_id: str) -> Any:
        request = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=30_000,
            rebalance_timeout_ms=30_000,
            member_id=member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"\0\0\0\0\0\0\0\0\0\0")],
        )
        return asker.ask(request, 9)

    joined = join(join("").member_id)
    assert joined.error_code == 0
    synced = SyncGroupRequest(
        group_id=group,
        generation_id=joined.generation_id,
        member_id=joined.member_id,
        protocol_type="consumer",
        protocol_name="range",
        assignments=[SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"")],
    )
    assert asker.ask(synced, 5).error_code == 0
    left = LeaveGroupRequest(group_id=group, members=[MemberIdentity(member_id=joined.member_id)])
    return Member(joined.member_id, joined.generation_id, lambda: asker.ask(left, 5))


def consumer(asker: SocketAsker, group: str, topic: Topic) -> Member:
    def beat(epoch: int, owned: list[int] | None = None, **fields: Any) -> Any:
        rows = None if owned is None else [ConsumerPartitions(topic_id=topic.id, partitions=owned)] if owned else []
        request = ConsumerGroupHeartbeatRequest(
            group_id=group, member_id="member", member_epoch=epoch, topic_partitions=rows, **fields
        )
        return asker.ask(request, 1)

    about = {"rebalance_timeout_ms": 30_000, "subscribed_topic_names": [topic.name]}
    epoch = _settled(
        lambda epoch: beat(epoch, [], **(about if epoch == 0 else {})),
        lambda answer: answer.assignment is not None and bool(answer.assignment.topic_partitions),
    )
    assert beat(epoch, [0]).error_code == 0
    return Member("member", epoch, lambda: beat(-1))


def share(asker: SocketAsker, group: str, topic: Topic) -> Member:
    def beat(epoch: int, topics: list[str] | None = None) -> Any:
        request = ShareGroupHeartbeatRequest(
            group_id=group, member_id="member", member_epoch=epoch, subscribed_topic_names=topics
        )
        return asker.ask(request, 1)

    epoch = _settled(
        lambda epoch: beat(epoch, [topic.name]),
        lambda answer: answer.assignment is not None and bool(answer.assignment.topic_partitions),
    )
    return Member("member", epoch, lambda: beat(-1))


def streams(asker: SocketAsker, group: str, topic: Topic) -> Member:
    topology = Topology(epoch=0, subtopologies=[Subtopology(subtopology_id="0", source_topics=[topic.name])])

    def beat(epoch: int, owned: list[int] | None = None, **fields: Any) -> Any:
        if owned is not None:
            tasks = [TaskIds(subtopology_id="0", partitions=owned)] if owned else []
            fields = {"active_tasks": tasks, "standby_tasks": [], "warmup_tasks": [], **fields}
        request = StreamsGroupHeartbeatRequest(group_id=group, member_id="member", member_epoch=epoch, **fields)
        return asker.ask(request, 0)

    about = {"rebalance_timeout_ms": 30_000, "topology": topology, "process_id": "p", "client_tags": []}
    epoch = _settled(
        lambda epoch: beat(epoch, [], **(about if epoch == 0 else {})), lambda answer: bool(answer.active_tasks)
    )
    assert beat(epoch, [0]).error_code == 0
    return Member("member", epoch, lambda: beat(-1))


def _settled(beat: Callable[[int], Any], has_got_it: Callable[[Any], bool]) -> int:
    """The epoch of one who joins, once it has the one partition."""
    epochs = [0]

    def ask() -> Any:
        answer = beat(epochs[-1])
        assert answer.error_code == 0, answer
        epochs.append(answer.member_epoch)
        return answer

    eventually(ask, has_got_it)
    return epochs[-1]


class Question:
    """One group and its member."""

    def __init__(self, asker: SocketAsker, kind: Callable[[SocketAsker, str, Topic], Member]) -> None:
        self.asker = asker
        self.topic = asker.create(1)
        self.group = new_group(asker)
        self.member = kind(asker, self.group, self.topic)

    def _who(self, case: Case) -> tuple[str | None, int]:
        member_id = self.member.id if case.id == OWN else case.id
        return member_id, -1 if case.epoch is None else self.member.epoch + case.epoch

    def commit(self, version: int, case: Case) -> E:
        member_id, epoch = self._who(case)
        row = OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
        request = OffsetCommitRequest(
            group_id=self.group,
            member_id=member_id or "",
            generation_id_or_member_epoch=epoch,
            group_instance_id=case.instance,
            topics=[OffsetCommitRequestTopic(name=self.topic.name, topic_id=self.topic.id, partitions=[row])],
        )
        return E(self.asker.ask(request, version).topics[0].partitions[0].error_code)

    def fetch(self, version: int, case: Case) -> E:
        member_id, epoch = self._who(case)
        topics = [OffsetFetchRequestTopics(name=self.topic.name, topic_id=self.topic.id, partition_indexes=[0])]
        group = OffsetFetchRequestGroup(group_id=self.group, member_id=member_id, member_epoch=epoch, topics=topics)
        return E(self.asker.ask(OffsetFetchRequest(groups=[group]), version).groups[0].error_code)

    def commit_transactional(self, version: int, case: Case) -> E:
        member_id, epoch = self._who(case)
        producer = begun(self.asker)
        if version < 5:
            assert producer.add_offsets(self.group) == 0

        def ask() -> int:
            return producer.commit_offset(
                self.group,
                self.topic,
                1,
                version=version,
                member_id=member_id or "",
                generation_id=epoch,
                group_instance_id=case.instance,
            )

        code = eventually(ask, lambda code: code not in LATER)
        assert producer.end(commit=False, version=version if version == 5 else 4) == 0
        return E(code)


CODES = {
    ".": E.NONE,
    "G": E.ILLEGAL_GENERATION,
    "M": E.UNKNOWN_MEMBER_ID,
    "S": E.STALE_MEMBER_EPOCH,
    "U": E.UNSUPPORTED_VERSION,
    "F": E.GROUP_ID_NOT_FOUND,
}
OLD_COMMITS, COMMITS, FETCHES, TRANSACTIONAL = (7, 8), (9, 10), (9, 10), (3, 4, 5)
MODERN = (
    (Question.commit, OLD_COMMITS, "UUUMMUMMUM"),
    (Question.commit, COMMITS, ".SSMMSMM.M"),
    (Question.fetch, FETCHES, ".SSMMSMM"),
    (Question.commit_transactional, TRANSACTIONAL, ".GGMMGM..M"),
)
EMPTY = (
    (Question.commit, OLD_COMMITS + COMMITS, "MMMM..M.M."),
    (Question.commit_transactional, TRANSACTIONAL, "MMMM..M.M."),
)
NO_SUCH_GROUP = (
    (Question.commit, OLD_COMMITS + COMMITS, "FFFFFFFFFF"),
    (Question.fetch, FETCHES, "........"),
    (Question.commit_transactional, TRANSACTIONAL, "FFFFFFFFFF"),
)
Answers = tuple[tuple[Callable[[Question, int, Case], E], tuple[int, ...], str], ...]


@pytest.mark.parametrize(
    ("kind", "with_member", "empty"),
    [
        (
            classic,
            (
                (Question.commit, OLD_COMMITS + COMMITS, ".GGMMGMMMM"),
                (Question.fetch, FETCHES, "........"),
                (Question.commit_transactional, TRANSACTIONAL, ".GGMMGM.MM"),
            ),
            (*EMPTY, (Question.fetch, FETCHES, "........")),
        ),
        (consumer, MODERN, (*EMPTY, (Question.fetch, FETCHES, "MMMMMMMM"))),
        (streams, MODERN, (*EMPTY, (Question.fetch, FETCHES, "MMMMMMMM"))),
        (share, NO_SUCH_GROUP, NO_SUCH_GROUP),
    ],
)
def test_who_may(
    asker: SocketAsker, kind: Callable[[SocketAsker, str, Topic], Member], with_member: Answers, empty: Answers
) -> None:
    """One letter of CODES for each of CASES; OffsetFetch knows no instances."""
    question = Question(asker, kind)
    check(question, with_member)
    assert question.member.leave().error_code == 0
    check(question, empty)


def check(question: Question, answers: Answers) -> None:
    for ask, versions, codes in answers:
        for version in versions:
            for case, code in zip(CASES, codes, strict=False):
                assert ask(question, version, case) == CODES[code], (ask.__name__, version, case)


def test_an_epoch_of_before_counts_for_what_was_assigned_by_then(asker: SocketAsker) -> None:
    """A consumer may commit under the epoch in which it got a partition, and under all that followed (KIP-1251)."""
    question = Question(asker, consumer)
    first, second = question.topic, asker.create(1)
    epoch = question.member.epoch

    def beat(epoch: int, owned: list[Topic], **fields: Any) -> Any:
        rows = [ConsumerPartitions(topic_id=topic.id, partitions=[0]) for topic in owned]
        request = ConsumerGroupHeartbeatRequest(
            group_id=question.group, member_id="member", member_epoch=epoch, topic_partitions=rows, **fields
        )
        return asker.ask(request, 1)

    answer = beat(epoch, [first], subscribed_topic_names=[first.name, second.name])
    now = answer.member_epoch
    while answer.assignment is None or len(answer.assignment.topic_partitions) < 2:
        answer = beat(now, [first])
        assert answer.error_code == 0
        now = answer.member_epoch
    assert beat(now, [first, second]).error_code == 0
    before = Case("before", OWN, 0)
    for version in COMMITS:
        assert question.commit(version, before) == E.NONE
    for version in TRANSACTIONAL:
        assert question.commit_transactional(version, before) == E.NONE
    question.topic = second
    for version in COMMITS:
        assert question.commit(version, before) == E.STALE_MEMBER_EPOCH
    for version in TRANSACTIONAL:
        assert question.commit_transactional(version, before) == E.ILLEGAL_GENERATION
