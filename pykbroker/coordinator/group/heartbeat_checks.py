"""What the heartbeats of all new group protocols are held to (Utils, GroupCoordinatorService.throwIf…)."""

from typing import NoReturn

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


def not_empty(value: str | None, name: str) -> None:
    """None is as good as something. Raises KafkaError INVALID_REQUEST."""
    if value is not None and not value.strip():
        invalid(f"{name} can't be empty.")


def invalid(message: str) -> NoReturn:
    raise KafkaError(ErrorCode.INVALID_REQUEST, message)
