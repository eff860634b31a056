"""What ShareFetch and ShareAcknowledge have in common: who may ask, which acknowledgements make sense. (KafkaApis)"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.features import SHARE_VERSION
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import RequestContext, Services
from pykbroker.share.acknowledge import Acknowledgement, AcknowledgeType
from pykbroker.share.share_session import RowKey

LONGEST_MEMBER_ID = 36
RENEW_FROM = 2
WITH_LEADER = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


class AcknowledgementBatch(Protocol):
    first_offset: int
    last_offset: int
    acknowledge_types: list[int]


class AcknowledgedPartition(Protocol):
    partition_index: int

    @property
    def acknowledgement_batches(self) -> Sequence[AcknowledgementBatch]: ...


class AcknowledgedTopic(Protocol):
    topic_id: Uuid

    @property
    def partitions(self) -> Sequence[AcknowledgedPartition]: ...


def require_member(broker: Services, group_id: str | None, member_id: str | None) -> tuple[str, str]:
    """(group id, member id). Raises KafkaError UNSUPPORTED_VERSION while share groups are off, INVALID_REQUEST."""
    if not broker.image.features.level(SHARE_VERSION):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
    if group_id is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid group id in the request.")
    if not member_id or len(member_id) > LONGEST_MEMBER_ID:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Invalid member id in the request.")
    return group_id, member_id


def connection_of(ctx: RequestContext) -> object:
    """What tells the client's connection from all others that are open."""
    return ctx.local_host, ctx.local_port, ctx.client_host, ctx.client_port


class Acknowledging:
    """The acknowledgements of a request on their way to the persister."""

    def __init__(
        self, broker: Services, group_id: str, member_id: str, *, knows_renewal: bool, is_renew_ack: bool
    ) -> None:
        self._broker = broker
        self._group_id = group_id
        self._member_id = member_id
        self._last_type = AcknowledgeType.RENEW if knows_renewal else AcknowledgeType.REJECT
        self._is_renew_ack = is_renew_ack
        self._errors: dict[RowKey, KafkaError] = {}
        self._pending: dict[RowKey, Pending[None]] = {}
        self._empty: list[RowKey] = []

    def start(self, topics: Iterable[AcknowledgedTopic]) -> None:
        for topic in topics:
            for row in topic.partitions:
                key = (topic.topic_id, row.partition_index)
                try:
                    self._start(key, row.acknowledgement_batches)
                except KafkaError as error:
                    self._errors[key] = error

    def _start(self, key: RowKey, batches: Sequence[AcknowledgementBatch]) -> None:
        topic = self._broker.image.topics.by_id(key[0])
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID)
        acknowledgements = self._validated(batches)
        if key[1] not in topic.partitions:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if acknowledgements:
            share = self._broker.share_partitions
            self._pending[key] = share.acknowledge(self._group_id, self._member_id, key, acknowledgements)
        else:
            self._empty.append(key)

    def _validated(self, batches: Sequence[AcknowledgementBatch]) -> list[Acknowledgement]:
        """Raises KafkaError INVALID_REQUEST (validateAcknowledgementBatches)."""
        before = -1
        acknowledgements = []
        for batch in batches:
            types, count = batch.acknowledge_types, batch.last_offset - batch.first_offset + 1
            is_valid = count > 0 and batch.first_offset >= before and len(types) in {1, count}
            if not is_valid or not all(self._is_allowed(kind) for kind in types):
                raise KafkaError(ErrorCode.INVALID_REQUEST)
            before = batch.last_offset
            acknowledgements.append(Acknowledgement(batch.first_offset, batch.last_offset, types))
        return acknowledgements

    def _is_allowed(self, kind: int) -> bool:
        if kind == AcknowledgeType.RENEW and not self._is_renew_ack:
            return False
        return 0 <= kind <= self._last_type

    async def results(self) -> dict[RowKey, KafkaError | None]:
        """None: it counts. Partitions without acknowledgements are named only beside others."""
        results: dict[RowKey, KafkaError | None] = dict(self._errors)
        for key, pending in self._pending.items():
            try:
                await pending.wait()
                results[key] = None
            except KafkaError as error:
                results[key] = error
        if self._pending:
            results.update(dict.fromkeys(self._empty))
        return results


def leader_of(broker: Services, key: RowKey) -> tuple[int, int]:
    """(node id, leader epoch), -1 for none."""
    topic = broker.image.topics.by_id(key[0])
    return (-1, -1) if topic is None else broker.replicas.leader_of(topic.name, key[1])
