"""InitProducerId (22): an id for an idempotent producer, an identity for a transactional one. KIP-98, 360, 939."""

from typing import Final

from pykbroker.coordinator.transaction.transaction_metadata import ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from pykbroker.request import RequestContext, Services

FENCED_FROM: Final = 4  # older clients know only INVALID_PRODUCER_EPOCH


async def handle(broker: Services, ctx: RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """Raises KafkaError."""
    has_id, has_epoch = request.producer_id != -1, request.producer_epoch != -1
    if has_id != has_epoch:
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is None:
        return InitProducerIdResponse(producer_id=await broker.producer_ids.next(), producer_epoch=0)
    identity = await broker.transactions.init_producer_id(
        request.transactional_id,
        request.transaction_timeout_ms,
        ProducerIdentity(request.producer_id, request.producer_epoch) if has_id else None,
        enable_2pc=request.enable2_pc,
        keep_prepared=request.keep_prepared_txn,
    )
    return InitProducerIdResponse(producer_id=identity.producer_id, producer_epoch=identity.epoch)


def error_response(request: InitProducerIdRequest, error: KafkaError, version: int) -> InitProducerIdResponse:
    is_unknown = error.code == ErrorCode.PRODUCER_FENCED and version < FENCED_FROM
    code = ErrorCode.INVALID_PRODUCER_EPOCH if is_unknown else error.code
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
