"""Whether the consumer protocol of KIP-848 is on: group.version, and group.coordinator.rebalance.protocols."""

from pykbroker.errors import KafkaError
from pykbroker.metadata.features import GROUP_VERSION
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import Services


def require_consumer_protocol(broker: Services) -> None:
    """Raises KafkaError UNSUPPORTED_VERSION."""
    enabled = "consumer" in broker.config.group_coordinator_rebalance_protocols
    if not enabled or not broker.image.features.level(GROUP_VERSION):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
