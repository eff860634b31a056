"""Levels of loggers by Kafka's names."""

import logging
from collections.abc import Iterator

import pytest

from pykbroker.config import loggers
from pykbroker.errors import KafkaError
from pykbroker.protocol.enums import AlterConfigOp
from pykbroker.protocol.error_codes import ErrorCode

NAME = "pykbroker.test_of_loggers"
SET, DELETE, APPEND, SUBTRACT = AlterConfigOp


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    logger = logging.getLogger(NAME)
    yield logger
    logger.setLevel(logging.NOTSET)
    root.setLevel(before)


def test_effective_levels(logger: logging.Logger) -> None:
    logging.getLogger("somebody.else")
    levels = loggers.levels()
    assert (levels["root"], levels[NAME]) == ("WARN", "WARN")
    assert "somebody.else" not in levels
    for level, name in ((5, "TRACE"), (1, "TRACE"), (10, "DEBUG"), (25, "INFO"), (40, "ERROR"), (50, "FATAL")):
        logger.setLevel(level)
        assert loggers.levels()[NAME] == name


def test_set_and_inherit_again(logger: logging.Logger) -> None:
    for level, number in loggers.LEVELS.items():
        loggers.apply([(NAME, SET, level)])
        assert (logger.level, loggers.levels()[NAME]) == (number, level)
    loggers.apply([(NAME, DELETE, None)])
    assert logger.level == logging.NOTSET
    loggers.apply([("root", SET, "ERROR")])
    assert loggers.levels()[NAME] == "ERROR"


def test_what_may_be_applied(logger: logging.Logger) -> None:
    loggers.check([(NAME, SET, "INFO"), (NAME, DELETE, None), ("root", SET, "TRACE")])
    assert logger.level == logging.NOTSET


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ((NAME, SET, "info"), ErrorCode.INVALID_CONFIG, f"Cannot set the log level of {NAME} to info as it is not a"),
        (("nobody", SET, "INFO"), ErrorCode.INVALID_CONFIG, "Logger nobody does not exist!"),
        (("nobody", DELETE, None), ErrorCode.INVALID_CONFIG, "Logger nobody does not exist!"),
        (("root", DELETE, None), ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed"),
        ((NAME, APPEND, "INFO"), ErrorCode.INVALID_REQUEST, "APPEND operation is not allowed for the BROKER_LOGGER"),
        ((NAME, SUBTRACT, "INFO"), ErrorCode.INVALID_REQUEST, "SUBTRACT operation is not allowed for the BROKER_LOG"),
        ((NAME, 9, "INFO"), ErrorCode.UNKNOWN_SERVER_ERROR, ""),
    ],
)
def test_what_may_not(logger: logging.Logger, operation: tuple[str, int, str | None], code: int, message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        loggers.check([(NAME, SET, "INFO"), operation])
    assert caught.value.code == code
    assert (caught.value.message or "").startswith(message)
