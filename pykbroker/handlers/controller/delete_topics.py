"""DeleteTopics (20): by name, from version 6 by id too (KIP-516)."""

from collections import Counter

from pykbroker.controller import topic_control
from pykbroker.controller.controller import Controller
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.handlers.shared import require_time
from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)
from pykbroker.request import RequestContext

UNKNOWN_TOPIC = "This server does not host this topic-partition."
UNKNOWN_ID = "This server does not host this topic ID."


async def handle(controller: Controller, ctx: RequestContext, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    if not controller.config.delete_topic_enable:
        code = ErrorCode.INVALID_REQUEST if ctx.api_version < 3 else ErrorCode.TOPIC_DELETION_DISABLED
        raise KafkaError(code, "Topic deletion is disabled.")

    def decide(image: MetadataImage) -> ControllerResult[DeleteTopicsResponse]:
        selection = _Selection(image, request)
        if selection.asks_anything:
            require_time(request.timeout_ms)
        records, codes = topic_control.delete_topics(image, selection.ids)
        rows = [_row(selection.ids[topic_id], topic_id, code) for topic_id, code in codes.items()]
        return ControllerResult(records, DeleteTopicsResponse(responses=[*selection.refused, *rows]))

    return await controller.execute(decide)


class _Selection:
    """Which topics are meant: `ids` (id → name) may go, `refused` answers for others (ControllerApis.deleteTopics)."""

    def __init__(self, image: MetadataImage, request: DeleteTopicsRequest) -> None:
        self.ids: dict[Uuid, str] = {}
        self.refused: list[DeletableTopicResult] = []
        self._image = image
        names, ids = self._given(request)
        # What is repeated is refused without a look at what there is.
        self.asks_anything = 1 in names.values() or 1 in ids.values()
        self._repeated_ids = {topic_id for topic_id, count in ids.items() if count > 1}
        for name, count in names.items():
            if count > 1:
                self._refuse(name, ZERO_UUID, ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
        for topic_id in ids:
            self._take_id(topic_id)
        for name, count in names.items():
            if count == 1:
                self._take_name(name)

    def _given(self, request: DeleteTopicsRequest) -> tuple[Counter[str], Counter[Uuid]]:
        names, ids = Counter(request.topic_names), Counter[Uuid]()
        for topic in request.topics:
            if topic.name is None and topic.topic_id == ZERO_UUID:
                message = "Neither topic name nor id were specified."
                self._refuse(None, ZERO_UUID, ErrorCode.INVALID_REQUEST, message)
            elif topic.name is None:
                ids[topic.topic_id] += 1
            elif topic.topic_id == ZERO_UUID:
                names[topic.name] += 1
            else:
                message = "You may not specify both topic name and topic id."
                self._refuse(topic.name, topic.topic_id, ErrorCode.INVALID_REQUEST, message)
        return names, ids

    def _take_id(self, topic_id: Uuid) -> None:
        topic = self._image.topics.by_id(topic_id)
        if topic_id in self._repeated_ids:
            self._refuse(None, topic_id, ErrorCode.INVALID_REQUEST, "Duplicate topic id.")
        elif topic is None:
            self._refuse(None, topic_id, ErrorCode.UNKNOWN_TOPIC_ID, UNKNOWN_ID)
        else:
            self.ids[topic_id] = topic.name

    def _take_name(self, name: str) -> None:
        topic = self._image.topics.get(name)
        if topic is None:
            self._refuse(name, ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC)
        elif topic.id in self.ids or topic.id in self._repeated_ids:
            self.ids.pop(topic.id, None)
            self._repeated_ids.add(topic.id)
            message = "The provided topic name maps to an ID that was already supplied."
            self._refuse(name, topic.id, ErrorCode.INVALID_REQUEST, message)
        else:
            self.ids[topic.id] = name

    def _refuse(self, name: str | None, topic_id: Uuid, code: int, message: str) -> None:
        self.refused.append(DeletableTopicResult(name=name, topic_id=topic_id, error_code=code, error_message=message))


def _row(name: str, topic_id: Uuid, code: int) -> DeletableTopicResult:
    return DeletableTopicResult(name=name, topic_id=topic_id, error_code=code)


def error_response(request: DeleteTopicsRequest, error: KafkaError, version: int) -> DeleteTopicsResponse:
    """Every topic gets the error (DeleteTopicsRequest.getErrorResponse)."""
    rows = [DeletableTopicResult(name=name, error_code=error.code) for name in request.topic_names]
    rows += [DeletableTopicResult(name=t.name, topic_id=t.topic_id, error_code=error.code) for t in request.topics]
    return DeleteTopicsResponse(responses=rows)
