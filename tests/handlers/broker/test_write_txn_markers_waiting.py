"""WriteTxnMarkers whose followers are slow."""

import trio
from trio.testing import MockClock

from pykbroker.handlers.broker.write_txn_markers import handle
from pykbroker.ids import Uuid
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.write_txn_markers import WriteTxnMarkersRequest
from pykbroker.request import RequestContext
from tests.handlers.broker.asker import Topic
from tests.handlers.broker.test_write_txn_markers import marker
from tests.replica.stand import NODE_ID, Stand, partition_image


async def test_followers_that_do_not_have_the_marker_in_time(stand: Stand, autojump_clock: MockClock) -> None:
    """The coordinator that asked writes it again; nothing waits here any more."""
    stand.create("t")
    followed = partition_image(NODE_ID, 0)._replace(replicas=(NODE_ID, 2), isr=(NODE_ID, 2))
    stand.set_partition("t", followed)
    asked = marker(Topic("t", Uuid.random()), 77_003, 0)
    ctx = RequestContext(ApiKey.WRITE_TXN_MARKERS, 2, received_at=trio.current_time())
    # A stand has what of Services the handler asks for.
    response = await handle(stand, ctx, WriteTxnMarkersRequest(markers=[asked]))  # type: ignore[arg-type]
    assert response.markers[0].topics[0].partitions[0].error_code == ErrorCode.REQUEST_TIMED_OUT
    assert trio.current_time() == ctx.received_at + stand.config.request_timeout_ms / 1000
    assert not stand.partition("t").waiters
