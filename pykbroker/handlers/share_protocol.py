"""Whether share groups (KIP-932) are on: share.version. Kafka: KafkaApis.isShareGroupProtocolEnabled."""

from pykbroker.errors import KafkaError
from pykbroker.metadata.features import SHARE_VERSION
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import Services


def require_share_protocol(broker: Services) -> None:
    """Raises KafkaError UNSUPPORTED_VERSION."""
    if not broker.image.features.level(SHARE_VERSION):
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
