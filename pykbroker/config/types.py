"""Texts ↔ typed values, and the validators of a definition, with Kafka's messages (ConfigDef.parseType and checks)."""

import re
from collections.abc import Callable
from typing import Any

from pykbroker.config.definitions import Row
from pykbroker.config.iso_duration import parse_duration

BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD = range(1, 10)
TYPE_NAMES = ("UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD")
READ_ONLY, CLUSTER_WIDE, PER_BROKER = range(3)
REQUIRED, INTERNAL, INERT = 1, 2, 4

_KEEP_DUPLICATES = ("throttled-replicas", "voters", "servers")
_BITS = {SHORT: 16, INT: 32, LONG: 64}
# Patterns are compiled at their first use: most broker starts need none.
_INTEGER = r"[+-]?[0-9]+"
_DOUBLE = r"([+-]?(?:NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))[dDfF]?"
_THROTTLED = r"([0-9]+:[0-9]+)?"
_THROTTLED_REASON = (
    "must be the literal '*' or a list of replicas in the following format: "
    "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
)


class InvalidValue(ValueError):
    """A value does not fit its definition. str() is Kafka's ConfigException message; `reason` its last part."""

    def __init__(self, name: str, value: object, reason: str) -> None:
        super().__init__(f"Invalid value {value} for configuration {name}: {reason}")
        self.name = name
        self.reason = reason


class InvalidList(InvalidValue):
    """A list that is refused as a whole; Kafka's message is the reason alone (ConfigDef.ValidList)."""

    def __init__(self, name: str, value: list[str], reason: str) -> None:
        super().__init__(name, value, reason)
        self.args = (reason,)


def parse(name: str, text: str, kind: int) -> Any:
    """The typed value of a text. Raises InvalidValue."""
    text = text.strip()
    if kind in (STRING, PASSWORD, CLASS):
        return text
    if kind == LIST:
        return re.split(r"\s*,\s*", text) if text else []
    if kind == BOOLEAN:
        lowered = text.lower()
        if lowered not in ("true", "false"):
            raise InvalidValue(name, text, "Expected value to be either true or false")
        return lowered == "true"
    if kind == DOUBLE:
        if match := re.fullmatch(_DOUBLE, text):
            return float(match[1])
    elif re.fullmatch(_INTEGER, text):
        # Java's limits come first, so that a text of many digits is never turned into a number.
        limit = 1 << _BITS[kind] - 1
        if len(text) < 40 and -limit <= (number := int(text)) < limit:
            return number
    raise InvalidValue(name, text, f"Not a number of type {TYPE_NAMES[kind]}")


def parse_valid(name: str, text: str, row: Row) -> Any:
    """The typed value of a text, checked by its validator; a list without repetitions. Raises InvalidValue."""
    value = parse(name, text, row[0])
    if (validator := row[2]) is not None or row[0] == LIST:
        check(name, value, validator)
    if isinstance(value, list) and (validator is None or validator[0] not in _KEEP_DUPLICATES):
        return list(dict.fromkeys(value))  # KIP-1161
    return value


def check(name: str, value: Any, validator: tuple[Any, ...] | None) -> None:
    """Raises InvalidValue unless the validator accepts the typed value."""
    if isinstance(value, list):
        _check_list(name, value, validator)
    elif validator is not None and (inspect := _CHECKS.get(validator[0])):
        inspect(name, value, validator)


def _check_range(name: str, value: Any, validator: tuple[Any, ...]) -> None:
    _, low, high = validator
    if value < low:
        raise InvalidValue(name, to_text(value), f"Value must be at least {low}")
    if high is not None and value > high:
        raise InvalidValue(name, to_text(value), f"Value must be no more than {high}")


def _check_in(name: str, value: str, validator: tuple[Any, ...]) -> None:
    if value not in validator[1:]:
        raise InvalidValue(name, value, f"String must be one of: {', '.join(validator[1:])}")


def _check_in_any_case(name: str, value: str, validator: tuple[Any, ...]) -> None:
    if value.upper() not in validator[1:]:
        raise InvalidValue(name, value, f"String must be one of (case insensitive): {', '.join(validator[1:])}")


def _check_nonempty(name: str, value: str, validator: tuple[Any, ...]) -> None:
    if not value:
        raise InvalidValue(name, value, "String must be non-empty")


def _check_gzip_level(name: str, value: int, validator: tuple[Any, ...]) -> None:
    if value != -1 and not 1 <= value <= 9:
        raise InvalidValue(name, value, "Value must be between 1 and 9 or equal to -1")


def _check_auto_offset_reset(name: str, value: str, validator: tuple[Any, ...]) -> None:
    kind, _, duration = value.partition(":")
    if value in ("latest", "earliest"):
        return
    if kind != "by_duration" or not _is_duration(duration):
        raise InvalidValue(
            name,
            value,
            f"Invalid value `{value}` for configuration {name}. "
            "The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
        )


def _is_duration(text: str) -> bool:
    try:
        return parse_duration(text) >= 0
    except ValueError:
        return False


_CHECKS: dict[str, Callable[[str, Any, tuple[Any, ...]], None]] = {
    "range": _check_range,
    "in": _check_in,
    "in_any_case": _check_in_any_case,
    "nonempty": _check_nonempty,
    "gzip-level": _check_gzip_level,
    "auto-offset-reset": _check_auto_offset_reset,
}


def _check_list(name: str, value: list[str], validator: tuple[Any, ...] | None) -> None:
    how = validator[0] if validator else ""
    if how == "throttled-replicas":
        if value != ["*"] and not all(re.fullmatch(_THROTTLED, element) for element in value):
            raise InvalidValue(name, f"[{', '.join(value)}]", f"{name} {_THROTTLED_REASON}")
        return
    if how in ("voters", "servers"):
        return
    if not value and how in ("nonempty", "in_nonempty"):
        raise InvalidList(
            name, value, f"Configuration '{name}' must not be empty. Valid values include: any non-empty value"
        )
    if any(not element for element in value):
        raise InvalidList(name, value, f"Configuration '{name}' values must not be empty.")
    if validator and how.startswith("in"):
        for element in value:
            _check_in(name, element, validator)


def to_text(value: Any) -> str:
    """As ConfigDef.convertToString prints it; null is the caller's."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(value)
    if isinstance(value, float):
        return java_double(value)
    return str(value)


def java_double(value: float) -> str:
    """Double.toString: plain between 1e-3 and 1e7, else with one digit before the point and E."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    mantissa, _, exponent = f"{value:.17e}".partition("e")
    for digits in range(17):
        mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
        if float(f"{mantissa}e{exponent}") == value:
            break
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"
