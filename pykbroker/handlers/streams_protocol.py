"""Whether the streams protocol of KIP-1071 is on: streams.version, and group.coordinator.rebalance.protocols."""

from pykbroker.errors import KafkaError
from pykbroker.metadata.features import STREAMS_VERSION
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import Services


def require_streams_protocol(broker: Services) -> None:
    """Raises KafkaError UNSUPPORTED_VERSION."""
    enabled = "streams" in broker.config.group_coordinator_rebalance_protocols
    if not enabled or not broker.image.features.level(STREAMS_VERSION):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
