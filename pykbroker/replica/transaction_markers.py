"""Commit and abort markers in a partition led here. (ProducerAppendInfo.appendEndTxnMarker; KIP-98, KIP-1228)"""

from typing import TYPE_CHECKING, Final

from pykbroker.errors import KafkaError
from pykbroker.log.unified_log import COORDINATOR
from pykbroker.pending import Pending
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.control import end_transaction_batch
from pykbroker.replica.delayed_produce import DelayedProduce
from pykbroker.replica.partition import ACKS_ALL, Partition
from pykbroker.replica.verifications import forget_verification, is_open

if TYPE_CHECKING:
    from pykbroker.coordinator.shard import Marker

# From this transaction version on a marker has an epoch above that of what it ends; again, when it is repeated.
STRICT_FROM: Final = 2


def append_marker(partition: Partition, marker: "Marker", now_ms: int) -> int:
    """The offset behind the marker. Raises KafkaError."""
    partition.check_leader()
    entry = partition.log.producer_state.producers.get(marker.producer_id)
    if marker.transaction_version >= STRICT_FROM and is_open(entry, marker.epoch):
        raise KafkaError(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"Epoch {marker.epoch} of producer {marker.producer_id} in {partition.topic_partition} is that of the open "
            f"transaction, which ends with a higher one",
        )
    batch = end_transaction_batch(
        commit=marker.commit,
        producer_id=marker.producer_id,
        producer_epoch=marker.epoch,
        coordinator_epoch=marker.coordinator_epoch,
        timestamp=now_ms,
    )
    end = partition.append(batch, ACKS_ALL, now_ms, COORDINATOR).last_offset + 1
    forget_verification(partition, marker.producer_id)
    return end


def committed(partition: Partition, offset: int) -> Pending[None]:
    """Done when the high watermark reaches `offset`; fails with a KafkaError when the leader moves before. That may be
    long in coming: who waits no longer completes it themselves."""
    pending: Pending[None] = Pending()

    def wake() -> None:
        error = waiting.errors[partition]
        if error:
            pending.try_fail(KafkaError(error))
        else:
            pending.try_complete(None)

    waiting = DelayedProduce({partition: offset}, wake)
    waiting.arm()
    pending.add_callback(lambda _: waiting.disarm())
    return pending
