"""Blocks of producer ids (ProducerIdControlManager, KIP-730)."""

from typing import NamedTuple

from pykbroker.controller.cluster_control import check_broker_epoch
from pykbroker.controller.result import ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.error_codes import ErrorCode

BLOCK_SIZE = 1000
MAX_PRODUCER_ID = 2**63 - 1


class ProducerIdsBlock(NamedTuple):
    first: int
    size: int


def allocate_producer_ids(
    image: MetadataImage, broker_id: int, broker_epoch: int
) -> ControllerResult[ProducerIdsBlock]:
    """The next block. Raises KafkaError: STALE_BROKER_EPOCH, UNKNOWN_SERVER_ERROR when ids run out."""
    from pykbroker.protocol.persisted.metadata.producer_ids_record import ProducerIdsRecord

    check_broker_epoch(image, broker_id, broker_epoch)
    first = max(image.producer_ids.next_producer_id, 0)
    if first > MAX_PRODUCER_ID - BLOCK_SIZE:
        raise KafkaError(
            ErrorCode.UNKNOWN_SERVER_ERROR,
            f"Exhausted all producerIds as the next block's end producerId has exceeded {first}",
        )
    record = ProducerIdsRecord(broker_id=broker_id, broker_epoch=broker_epoch, next_producer_id=first + BLOCK_SIZE)
    return ControllerResult([record], ProducerIdsBlock(first, BLOCK_SIZE))
