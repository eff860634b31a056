"""EndTxn (26): commits or aborts a transaction. KIP-98, KIP-588, KIP-890."""

from typing import Final

from pykbroker.coordinator.transaction.transaction_metadata import EPOCH_BUMP, ProducerIdentity
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from pykbroker.request import RequestContext, Services

FENCED_FROM: Final = 2  # older clients know only INVALID_PRODUCER_EPOCH
EPOCH_BUMP_FROM: Final = 5


async def handle(broker: Services, ctx: RequestContext, request: EndTxnRequest) -> EndTxnResponse:
    """Raises KafkaError."""
    bumps = ctx.api_version >= EPOCH_BUMP_FROM
    identity = await broker.transactions.end(
        request.transactional_id,
        ProducerIdentity(request.producer_id, request.producer_epoch),
        commit=request.committed,
        client_version=EPOCH_BUMP if bumps else 0,
    )
    if not bumps:
        return EndTxnResponse()
    return EndTxnResponse(producer_id=identity.producer_id, producer_epoch=identity.epoch)


def error_response(request: EndTxnRequest, error: KafkaError, version: int) -> EndTxnResponse:
    is_unknown = error.code == ErrorCode.PRODUCER_FENCED and version < FENCED_FROM
    return EndTxnResponse(error_code=ErrorCode.INVALID_PRODUCER_EPOCH if is_unknown else error.code)
