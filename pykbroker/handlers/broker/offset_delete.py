"""OffsetDelete (47): offsets of topics that the group does not consume. KIP-496. Kafka: handleOffsetDeleteRequest."""

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: OffsetDeleteRequest) -> OffsetDeleteResponse:
    refused: dict[str, OffsetDeleteResponseTopic] = {}
    known = []
    for topic in _distinct(request.topics):
        image = broker.image.topics.get(topic.name)
        exists = image.partitions if image is not None else {}
        bad = [row for row in topic.partitions if row.partition_index not in exists]
        if bad:
            refused[topic.name] = _refusal(topic.name, [row.partition_index for row in bad])
        good = [row for row in topic.partitions if row.partition_index in exists]
        if good:
            known.append(OffsetDeleteRequestTopic(name=topic.name, partitions=good))
    response = await broker.groups.offset_delete(ctx, OffsetDeleteRequest(group_id=request.group_id, topics=known))
    if response.error_code:
        return response
    for answered in response.topics:
        if answered.name in refused:
            refused[answered.name].partitions.extend(answered.partitions)
        else:
            refused[answered.name] = answered
    response.topics = list(refused.values())
    return response


def _distinct(topics: list[OffsetDeleteRequestTopic]) -> list[OffsetDeleteRequestTopic]:
    """A topic named twice counts once, the first time."""
    return list({topic.name: topic for topic in reversed(topics)}.values())[::-1]


def _refusal(name: str, partitions: list[int]) -> OffsetDeleteResponseTopic:
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    rows = [OffsetDeleteResponsePartition(partition_index=index, error_code=code) for index in partitions]
    return OffsetDeleteResponseTopic(name=name, partitions=rows)
