"""The answer to ApiVersions, of brokers and controllers (ApiVersionManager). KIP-35, KIP-511, KIP-584, KAFKA-17492."""

from collections.abc import Iterable, Mapping
from typing import Final

from pykbroker.errors import KafkaError
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

KRAFT_VERSION: Final = "kraft.version"
_OUTER: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_INNER: Final = _OUTER | frozenset("-.")


def check_software(request: ApiVersionsRequest, version: int) -> None:
    """Raises KafkaError(INVALID_REQUEST)."""
    if version >= 3 and not (
        is_software_name(request.client_software_name) and is_software_name(request.client_software_version)
    ):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "client software name or version has characters that Kafka refuses")


def api_versions(
    rows: Iterable[tuple[int, int, int]], image: MetadataImage, kraft_version: int, version: int
) -> ApiVersionsResponse:
    """`rows`: (api key, lowest, highest version) of what is served. `kraft_version`: of the quorum, which stands in the
    control records of its log and not in the image."""
    finalized = {**image.features.finalized, KRAFT_VERSION: kraft_version}
    return ApiVersionsResponse(
        api_keys=[ApiVersion(*row) for row in rows],
        supported_features=[
            SupportedFeatureKey(name, lowest, highest)
            for name, (lowest, highest) in SUPPORTED_FEATURES.items()
            # Clients before v4 trip over a lowest level of 0.
            if lowest > 0 or version >= 4
        ],
        finalized_features_epoch=image.offset,
        finalized_features=[FinalizedFeatureKey(name, level, level) for name, level in finalized.items() if level],
    )


def within_reach(
    rows: Iterable[tuple[int, int, int]], controller: Mapping[int, tuple[int, int]] | None
) -> list[tuple[int, int, int]]:
    """`rows` as far as the controller has them too, where it executes them; `controller` None: its code is this
    broker's (ApiVersionsResponse.intersectForwardableApis)."""
    if controller is None:
        return list(rows)
    common = []
    for key, low, high in rows:
        if API_TABLE[key].forwardable:
            its_low, its_high = controller.get(key, (0, -1))
            low, high = max(low, its_low), min(high, its_high)
        if low <= high:
            common.append((key, low, high))
    return common


def is_software_name(text: str) -> bool:
    """ApiVersionsRequest's pattern: letters, digits, dashes and dots; a letter or digit at both ends."""
    return bool(text) and text[0] in _OUTER and text[-1] in _OUTER and _INNER.issuperset(text)
