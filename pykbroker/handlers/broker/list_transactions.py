"""ListTransactions (66): the transactional ids that this broker coordinates. KIP-664, KIP-994, KIP-1152."""

from collections.abc import Callable
from typing import Final

from pykbroker.coordinator.safe_regex import InvalidPattern, compile_pattern
from pykbroker.coordinator.transaction.transaction_metadata import STATE_NAMES
from pykbroker.errors import KafkaError
from pykbroker.pending import pause_after
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    TransactionState,
)
from pykbroker.request import RequestContext, Services

# States that there are, though no transaction is ever seen in them.
KNOWN_STATES: Final = frozenset((*STATE_NAMES.values(), "Dead", "PrepareEpochFence"))


async def handle(broker: Services, ctx: RequestContext, request: ListTransactionsRequest) -> ListTransactionsResponse:
    """Raises KafkaError."""
    states = frozenset(request.state_filters)
    producer_ids = frozenset(request.producer_id_filters)
    matches = _matcher(request.transactional_id_pattern)
    now_ms = broker.clock.wall_ms()
    rows = []
    for count, metadata in enumerate(broker.transactions.all(), 1):
        if (
            (not states or STATE_NAMES[metadata.state] in states)
            and (not producer_ids or metadata.producer_id in producer_ids)
            and (request.duration_filter < 0 or now_ms - metadata.start_timestamp > request.duration_filter)
            and matches(metadata.transactional_id)
        ):
            rows.append(TransactionState(metadata.transactional_id, metadata.producer_id, STATE_NAMES[metadata.state]))
        await pause_after(count)
    unknown = [state for state in request.state_filters if state not in KNOWN_STATES]
    return ListTransactionsResponse(unknown_state_filters=unknown, transaction_states=rows)


def _matcher(pattern: str | None) -> Callable[[str], bool]:
    """Raises KafkaError INVALID_REGULAR_EXPRESSION."""
    if not pattern:
        return lambda _: True
    try:
        return compile_pattern(pattern)
    except InvalidPattern as error:
        raise KafkaError(
            ErrorCode.INVALID_REGULAR_EXPRESSION, f"Transaction ID pattern {pattern} is invalid: {error}"
        ) from error
