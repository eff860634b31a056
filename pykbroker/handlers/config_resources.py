"""Resources of a request that changes configs, as it reaches the controller (ControllerApis).

A broker that forwards one has sorted out most of this; a tool with --bootstrap-controller has not.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from pykbroker.errors import KafkaError
from pykbroker.protocol.enums import ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode

Key = tuple[int, str]  # type, name


class ConfigResource(Protocol):
    resource_type: int
    resource_name: str


R = TypeVar("R", bound=ConfigResource)


def distinct(resources: Iterable[R]) -> tuple[dict[Key, R], list[tuple[Key, KafkaError]]]:
    """Those to change, and the refusals: types that nobody knows, resources that come twice."""
    found: dict[Key, R] = {}
    repeated: set[Key] = set()
    refused: list[tuple[Key, KafkaError]] = []
    for resource in resources:
        key = (resource.resource_type, resource.resource_name)
        if key[0] not in _KNOWN:
            refused.append((key, KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Unknown resource type {key[0]}.")))
        elif key in found:
            del found[key]
            repeated.add(key)
            refused.append((key, KafkaError(ErrorCode.INVALID_REQUEST, "Duplicate resource.")))
        elif key not in repeated:
            found[key] = resource
    return found, refused


_KNOWN = frozenset(int(kind) for kind in ConfigResourceType if kind)
