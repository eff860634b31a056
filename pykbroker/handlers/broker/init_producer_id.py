"""InitProducerId (22): an id for an idempotent producer. KIP-98, KIP-360.

Transactional ids need a transaction coordinator, which is not served yet: FindCoordinator says so before, and this says
the same to a client that did not ask it.
"""

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from pykbroker.request import RequestContext, Services


async def handle(broker: Services, ctx: RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """Raises KafkaError."""
    if request.transactional_id == "":
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is not None:
        raise KafkaError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    has_id, has_epoch = request.producer_id != -1, request.producer_epoch != -1
    if has_id != has_epoch:
        raise KafkaError(ErrorCode.INVALID_REQUEST)
    return InitProducerIdResponse(producer_id=await broker.producer_ids.next(), producer_epoch=0)


def error_response(request: InitProducerIdRequest, error: KafkaError, version: int) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=error.code, producer_id=-1, producer_epoch=-1)
