"""The levels of loggers as the BROKER_LOGGER resource shows and sets them (LoggingController, RuntimeLoggerManager)."""

import logging
from collections.abc import Iterable

from pykbroker.errors import KafkaError
from pykbroker.protocol.enums import AlterConfigOp
from pykbroker.protocol.error_codes import ErrorCode

ROOT = "root"
PACKAGE = "pykbroker"
TRACE = 5
LEVELS = {
    "DEBUG": logging.DEBUG,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "INFO": logging.INFO,
    "TRACE": TRACE,
    "WARN": logging.WARNING,
}


def levels() -> dict[str, str]:
    """The effective level by logger: the root and those of the broker."""
    manager = logging.getLogger().manager
    names = [name for name, known in manager.loggerDict.items() if isinstance(known, logging.Logger)]
    ours = sorted(name for name in names if name.split(".")[0] == PACKAGE)
    return {name: _level_name(_logger(name).getEffectiveLevel()) for name in (ROOT, *ours)}


def check(operations: Iterable[tuple[str, int, str | None]]) -> None:
    """Raises KafkaError unless every (logger, AlterConfigOp, level) may be applied."""
    known = levels()
    for name, operation, level in operations:
        if operation == AlterConfigOp.SET:
            _check_level(name, level)
            _check_exists(name, known)
        elif operation == AlterConfigOp.DELETE:
            _check_exists(name, known)
            if name == ROOT:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")
        elif operation in (AlterConfigOp.APPEND, AlterConfigOp.SUBTRACT):
            raise KafkaError(
                ErrorCode.INVALID_REQUEST,
                f"{AlterConfigOp(operation).name} operation is not allowed for the BROKER_LOGGER resource",
            )
        else:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR)


def apply(operations: Iterable[tuple[str, int, str | None]]) -> None:
    """Sets levels, or lets a logger inherit its parent's again; checked before."""
    for name, operation, level in operations:
        _logger(name).setLevel(LEVELS[level or ""] if operation == AlterConfigOp.SET else logging.NOTSET)


def _check_level(name: str, level: str | None) -> None:
    if level not in LEVELS:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Cannot set the log level of {name} to {level} as it is not a supported log level. "
            f"Valid log levels are {', '.join(LEVELS)}",
        )


def _check_exists(name: str, known: dict[str, str]) -> None:
    if name not in known:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist!")


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(None if name == ROOT else name)


def _level_name(level: int) -> str:
    """The level at or above which the logger speaks."""
    names = {value: name for name, value in LEVELS.items()}
    return names[max((value for value in names if value <= level), default=TRACE)]
