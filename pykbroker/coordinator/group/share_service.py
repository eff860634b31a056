"""The async side of share groups: the group coordinator's shards, and the persister that keeps their offsets (KIP-932).

Kafka: the share parts of GroupCoordinatorService.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pykbroker.coordinator.errors import client_error, error_for_client
from pykbroker.coordinator.group.share_checks import check_share_heartbeat
from pykbroker.coordinator.group.share_errors import message_for
from pykbroker.errors import KafkaError
from pykbroker.ids import ZERO_UUID, TopicPartition
from pykbroker.pending import SLICE, pause_after
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.coordinator.group.consumer_member import Partitions
    from pykbroker.coordinator.group.group_shard import GroupShard
    from pykbroker.coordinator.group.service import GroupCoordinatorService
    from pykbroker.coordinator.group.share_offsets import Alteration, Deletion
    from pykbroker.coordinator.shard import Outcome
    from pykbroker.coordinator.share.persister import Persister
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.pending import Pending
    from pykbroker.protocol.messages.alter_share_group_offsets import (
        AlterShareGroupOffsetsRequest,
        AlterShareGroupOffsetsResponseTopic,
    )
    from pykbroker.protocol.messages.delete_groups import DeletableGroupResult
    from pykbroker.protocol.messages.delete_share_group_offsets import (
        DeleteShareGroupOffsetsRequest,
        DeleteShareGroupOffsetsResponseTopic,
    )
    from pykbroker.protocol.messages.describe_share_group_offsets import (
        DescribeShareGroupOffsetsRequestTopic,
        DescribeShareGroupOffsetsResponsePartition,
        DescribeShareGroupOffsetsResponseTopic,
    )
    from pykbroker.protocol.messages.initialize_share_group_state import InitializeShareGroupStateRequest
    from pykbroker.protocol.messages.read_share_group_state_summary import PartitionResult, ReadStateSummaryResult
    from pykbroker.protocol.messages.share_group_describe import DescribedGroup
    from pykbroker.protocol.messages.share_group_heartbeat import (
        ShareGroupHeartbeatRequest,
        ShareGroupHeartbeatResponse,
    )
    from pykbroker.request import RequestContext

T = TypeVar("T")

logger = logging.getLogger(__name__)

UNKNOWN_OFFSET = -1


class ShareGroupService:
    """`end_offset`: where a partition ends for consumers, now or later; raises KafkaError. `soon`: runs a job beside
    the request."""

    def __init__(
        self,
        groups: "GroupCoordinatorService",
        persister: "Persister",
        image: "Callable[[], MetadataImage]",
        end_offset: "Callable[[TopicPartition], int | Pending[int]]",
        soon: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self._groups = groups
        self._persister = persister
        self._image = image
        self._end_offset = end_offset
        self._soon = soon

    async def _write(self, group_id: str, operation: "Callable[[GroupShard], Outcome[T]]") -> T:
        """Raises KafkaError, as clients should hear it."""
        try:
            response = await self._groups.runtime.write(self._groups.partition_for(group_id), operation)
        except KafkaError as error:
            raise error_for_client(error) from error
        if response is None:
            raise RuntimeError("an operation of the group coordinator gave no response")
        return response

    # -- membership

    async def heartbeat(
        self, ctx: "RequestContext", request: "ShareGroupHeartbeatRequest"
    ) -> "ShareGroupHeartbeatResponse":
        """Raises KafkaError."""
        check_share_heartbeat(request)
        answer = await self._write(request.group_id, lambda shard: shard.shares.heartbeat(ctx, request))
        if answer.initialize is not None:
            self._soon(partial(self._initialize_quietly, answer.initialize))
        return answer.response

    async def describe(self, group_ids: Iterable[str]) -> "list[DescribedGroup]":
        """In the order asked for."""
        from pykbroker.protocol.messages.share_group_describe import DescribedGroup

        rows: list[DescribedGroup] = []
        for group_id in group_ids:
            await pause_after(len(rows) + 1)
            if not group_id:
                rows.append(DescribedGroup(error_code=ErrorCode.INVALID_GROUP_ID))
                continue
            try:
                shard = self._groups.runtime.shard(self._groups.partition_for(group_id))
                rows.append(shard.describe_share_group(group_id))
            except KafkaError as error:
                code = client_error(error.code)
                message = error.message or message_for(code)
                rows.append(DescribedGroup(group_id=group_id, error_code=code, error_message=message))
        return rows

    # -- initialization of partitions

    async def _initialize_quietly(self, request: "InitializeShareGroupStateRequest") -> None:
        try:
            await self.initialize(request)
        except KafkaError as error:
            # It is tried again after group.share.initialize.retry.interval.ms.
            logger.warning("Partitions of share group %s can't be initialized now: %s", request.group_id, error)

    async def initialize(self, request: "InitializeShareGroupStateRequest") -> None:
        """Raises KafkaError when the answer of the persister can't be noted."""
        group_id, partitions = request.group_id, _partitions(request)
        failed = await self._ask_to_initialize(request)
        if not failed:
            await self._note(group_id, lambda shard: shard.shares.initialization.complete(group_id, partitions))
            return
        logger.error("The persister can't initialize partitions of share group %s: %s", group_id, failed)
        await self._note(group_id, lambda shard: shard.shares.initialization.give_up(group_id, partitions))

    async def _ask_to_initialize(
        self, request: "InitializeShareGroupStateRequest"
    ) -> dict[tuple[Any, int], tuple[int, str | None]]:
        """(topic id, partition) → error of those that failed."""
        response = await self._persister.initialize_state(request)
        return {
            (result.topic_id, row.partition): (row.error_code, row.error_message)
            for result in response.results
            for row in result.partitions
            if row.error_code
        }

    async def _note(self, group_id: str, operation: "Callable[[GroupShard], Outcome[None]]") -> None:
        await self._groups.runtime.write(self._groups.partition_for(group_id), operation)

    # -- offsets

    async def alter_offsets(
        self, request: "AlterShareGroupOffsetsRequest"
    ) -> "list[AlterShareGroupOffsetsResponseTopic]":
        """Raises KafkaError for the whole request."""
        group_id = request.group_id
        if not group_id:
            raise KafkaError(ErrorCode.INVALID_GROUP_ID)
        alteration: Alteration = await self._write(
            group_id, lambda shard: shard.shares.offsets.alter(group_id, request.topics)
        )
        if not alteration.request.topics:
            return alteration.rows
        failed = await self._ask_to_initialize(alteration.request)
        if not failed:
            partitions = _partitions(alteration.request)
            await self._note(group_id, lambda shard: shard.shares.initialization.complete(group_id, partitions))
        for topic in alteration.rows:
            for row in topic.partitions:
                if not row.error_code and (topic.topic_id, row.partition_index) in failed:
                    row.error_code, row.error_message = failed[topic.topic_id, row.partition_index]
        return alteration.rows

    async def delete_offsets(
        self, request: "DeleteShareGroupOffsetsRequest"
    ) -> "list[DeleteShareGroupOffsetsResponseTopic]":
        """Raises KafkaError for the whole request."""
        group_id = request.group_id
        if not group_id.strip():
            raise KafkaError(ErrorCode.INVALID_GROUP_ID)
        names = [topic.topic_name for topic in request.topics]
        deletion: Deletion = await self._write(
            group_id, lambda shard: shard.shares.offsets.begin_delete(group_id, names)
        )
        if not deletion.partitions:
            return deletion.refused
        errors = await self._delete_state(group_id, deletion.partitions)
        deleted = [topic_id for topic_id in deletion.partitions if topic_id not in errors]
        rows = [self._deletion_row(topic_id, code) for topic_id, code in errors.items()]
        if not deleted:
            return [*deletion.refused, *rows]
        found = await self._write(group_id, lambda shard: shard.shares.offsets.complete_delete(group_id, deleted))
        done = [self._deletion_row(topic_id, ErrorCode.NONE) for topic_id in deleted] if found else []
        return [*done, *deletion.refused, *rows]

    def _deletion_row(self, topic_id: Any, code: int) -> "DeleteShareGroupOffsetsResponseTopic":
        from pykbroker.protocol.messages.delete_share_group_offsets import DeleteShareGroupOffsetsResponseTopic

        topic = self._image().topics.by_id(topic_id)
        return DeleteShareGroupOffsetsResponseTopic(
            topic_id=topic_id,
            topic_name="" if topic is None else topic.name,
            error_code=code,
            error_message=message_for(code),
        )

    async def _delete_state(self, group_id: str, partitions: "Partitions") -> dict[Any, int]:
        """Topic id → error of those that are not deleted as a whole."""
        from pykbroker.protocol.messages.delete_share_group_state import (
            DeleteShareGroupStateRequest,
            DeleteStateData,
            PartitionData,
        )

        topics = [
            DeleteStateData(topic_id=topic_id, partitions=[PartitionData(partition=index) for index in sorted(rows)])
            for topic_id, rows in partitions.items()
        ]
        response = await self._persister.delete_state(DeleteShareGroupStateRequest(group_id=group_id, topics=topics))
        return {
            result.topic_id: row.error_code
            for result in response.results
            for row in result.partitions
            if row.error_code
        }

    async def describe_offsets(
        self, group_id: str, topics: "Iterable[DescribeShareGroupOffsetsRequestTopic] | None"
    ) -> "list[DescribeShareGroupOffsetsResponseTopic]":
        """`topics` None: all that the group has initialized. Raises KafkaError for the whole group."""
        wanted: dict[Any, list[int]] = {}
        unknown: list[DescribeShareGroupOffsetsResponseTopic] = []
        if topics is None:
            shard = self._groups.runtime.shard(self._groups.partition_for(group_id))
            partitions = shard.shares.offsets.initialized(group_id)
            wanted = {key: sorted(rows) for key, rows in partitions.items() if self._image().topics.by_id(key)}
        for topic in topics or ():
            image = self._image().topics.get(topic.topic_name)
            if image is None:
                unknown.append(_unknown_topic(topic.topic_name, topic.partitions))
            else:
                wanted[image.id] = topic.partitions
        return [*await self._read_summary(group_id, wanted), *unknown] if wanted else unknown

    async def _read_summary(
        self, group_id: str, wanted: dict[Any, list[int]]
    ) -> "list[DescribeShareGroupOffsetsResponseTopic]":
        from pykbroker.protocol.messages.describe_share_group_offsets import DescribeShareGroupOffsetsResponseTopic
        from pykbroker.protocol.messages.read_share_group_state_summary import (
            PartitionData,
            ReadShareGroupStateSummaryRequest,
            ReadStateSummaryData,
        )

        names = {topic_id: self._image().topics.ids[topic_id].name for topic_id in wanted}
        topics = [
            ReadStateSummaryData(topic_id=topic_id, partitions=[PartitionData(partition=index) for index in rows])
            for topic_id, rows in wanted.items()
        ]
        response = await self._persister.read_summary(
            ReadShareGroupStateSummaryRequest(group_id=group_id, topics=topics)
        )
        ends = self._end_offsets(names, response.results)
        return [
            DescribeShareGroupOffsetsResponseTopic(
                topic_id=result.topic_id,
                topic_name=names[result.topic_id],
                partitions=[
                    await _described(row, ends.get((result.topic_id, row.partition))) for row in result.partitions
                ],
            )
            for result in response.results
        ]

    def _end_offsets(
        self, names: Mapping[Any, str], results: "Iterable[ReadStateSummaryResult]"
    ) -> "dict[tuple[Any, int], int | Pending[int] | KafkaError]":
        """Of those whose lag can be told; all are asked for at once."""
        found: dict[tuple[Any, int], int | Pending[int] | KafkaError] = {}
        for result in results:
            for row in result.partitions:
                if row.error_code or UNKNOWN_OFFSET in (row.start_offset, row.delivery_complete_count):
                    continue
                try:
                    end: int | Pending[int] | KafkaError = self._end_offset(
                        TopicPartition(names[result.topic_id], row.partition)
                    )
                except KafkaError as error:
                    end = error
                found[result.topic_id, row.partition] = end
        return found

    # -- groups as a whole

    async def delete_groups(self, ctx: "RequestContext", group_ids: Iterable[str]) -> "list[DeletableGroupResult]":
        """Groups of any kind; `group_ids` are distinct. The state of share groups goes first."""
        from pykbroker.protocol.messages.delete_groups import DeletableGroupResult

        by_partition: dict[int, list[str]] = {}
        for count, group_id in enumerate(group_ids, 1):
            by_partition.setdefault(self._groups.partition_for(group_id), []).append(group_id)
            await pause_after(count)
        rows: list[DeletableGroupResult] = []
        for ids in _in_slices(by_partition.values()):
            errors = await self._delete_states_of(ids)
            rows.extend(DeletableGroupResult(group_id=group_id, error_code=code) for group_id, code in errors.items())
            left = [group_id for group_id in ids if group_id not in errors]
            if left:
                rows.extend(await self._groups.delete_groups(ctx, left))
            await pause_after(len(ids))
        return rows

    async def _delete_states_of(self, group_ids: list[str]) -> dict[str, int]:
        """Errors by group, of groups that must not be deleted then. All of one partition."""
        try:
            answers = await self._write(group_ids[0], lambda shard: shard.shares.offsets.begin_delete_groups(group_ids))
        except KafkaError as error:
            return dict.fromkeys(group_ids, error.code)
        errors: dict[str, int] = {}
        for group_id, answer in answers.items():
            if isinstance(answer, int):
                errors[group_id] = answer
                continue
            failed = await self._delete_state(group_id, answer)
            if failed:
                logger.error("The persister can't delete the state of share group %s: %s", group_id, failed)
                errors[group_id] = next(iter(failed.values()))
        return errors


def _in_slices(lists: Iterable[list[str]]) -> Iterator[list[str]]:
    for ids in lists:
        for start in range(0, len(ids), SLICE):
            yield ids[start : start + SLICE]


def _partitions(request: "InitializeShareGroupStateRequest") -> "Partitions":
    return {topic.topic_id: frozenset(row.partition for row in topic.partitions) for topic in request.topics}


async def _described(
    row: "PartitionResult", end: "int | Pending[int] | KafkaError | None"
) -> "DescribeShareGroupOffsetsResponsePartition":
    """An error of the persister means that nothing is known, as OffsetFetch has it."""
    from pykbroker.protocol.messages.describe_share_group_offsets import DescribeShareGroupOffsetsResponsePartition

    answer = DescribeShareGroupOffsetsResponsePartition(partition_index=row.partition, start_offset=UNKNOWN_OFFSET)
    if row.error_code:
        return answer
    answer.start_offset, answer.leader_epoch = row.start_offset, row.leader_epoch
    if end is None:
        return answer
    try:
        if isinstance(end, KafkaError):
            raise end
        offset = end if isinstance(end, int) else await end.wait()
    except KafkaError as error:
        return DescribeShareGroupOffsetsResponsePartition(
            partition_index=row.partition, error_code=error.code, error_message=message_for(error.code)
        )
    answer.lag = offset - row.start_offset - row.delivery_complete_count
    return answer


def _unknown_topic(name: str, partitions: Iterable[int]) -> "DescribeShareGroupOffsetsResponseTopic":
    from pykbroker.protocol.messages.describe_share_group_offsets import (
        DescribeShareGroupOffsetsResponsePartition,
        DescribeShareGroupOffsetsResponseTopic,
    )

    rows = [
        DescribeShareGroupOffsetsResponsePartition(partition_index=index, start_offset=UNKNOWN_OFFSET)
        for index in partitions
    ]
    return DescribeShareGroupOffsetsResponseTopic(topic_name=name, topic_id=ZERO_UUID, partitions=rows)
