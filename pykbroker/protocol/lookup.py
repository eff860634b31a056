"""API key or record name → message class, whose module is imported on first use (start-up budget); number → error."""

from functools import cache
from importlib import import_module
from typing import cast

from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.record_types import MODULES

_PACKAGE = "pykbroker.protocol"


@cache
def request_class(api_key: int) -> type[Message]:
    """Raises KeyError for a key without versions."""
    api = API_TABLE[api_key]
    return _class(f"messages.{api.module}", f"{api.name}Request")


@cache
def response_class(api_key: int) -> type[Message]:
    """Raises KeyError for a key without versions."""
    api = API_TABLE[api_key]
    return _class(f"messages.{api.module}", f"{api.name}Response")


@cache
def persisted_class(folder: str, name: str) -> type[Message]:
    """E.g. ("metadata", "PartitionRecord"), ("group", "OffsetCommitKey"). Raises KeyError."""
    return _class(f"persisted.{folder}.{MODULES[folder][name]}", name)


@cache
def embedded_class(name: str) -> type[Message]:
    """E.g. "LeaderChangeMessage". Raises KeyError."""
    return _class(f"embedded.{MODULES['embedded'][name]}", name)


@cache
def message_class(name: str) -> type[Message]:
    """A persisted or embedded message by its name alone. Raises KeyError."""
    for folder, modules in MODULES.items():
        if name in modules:
            return embedded_class(name) if folder == "embedded" else persisted_class(folder, name)
    raise KeyError(name)


def error_of(code: int) -> ErrorCode:
    """UNKNOWN_SERVER_ERROR for one of a later Kafka (Errors.forCode)."""
    try:
        return ErrorCode(code)
    except ValueError:
        return ErrorCode.UNKNOWN_SERVER_ERROR


def _class(module: str, name: str) -> type[Message]:
    return cast(type[Message], getattr(import_module(f"{_PACKAGE}.{module}"), name))
