"""A node's settings from all sources, the later wins: defaults, server.properties, environment, --set."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.definitions import BROKER, BROKER_SYNONYMS
from pykbroker.config.environment import settings
from pykbroker.config.errors import ConfigError as ConfigError
from pykbroker.config.known_names import base_name, is_overlooked, nearest, row_of
from pykbroker.config.types import INERT, PASSWORD, InvalidValue, parse_valid
from pykbroker.config.validate import validate_broker

LOG = logging.getLogger("pykbroker.config")

# Besides Kafka's own: two names of one thing.
_ALSO_SYNONYMS = {
    "broker.id": ("node.id",),
    "log.dir": ("log.dirs",),
    "log.dirs": ("log.dir",),
    "node.id": ("broker.id",),
}
_ABOUT_LISTENERS = ("advertised.listeners", "inter.broker.listener.name")


class Setting(NamedTuple):
    """`source` tells a person where it stands: file:line, a variable, --set."""

    name: str
    value: str
    source: str


def load(path: str | None, environ: Mapping[str, str], overrides: Sequence[str]) -> BrokerConfig:
    """The node's settings. `overrides` are name=value. Raises ConfigError."""
    merged: dict[str, Setting] = {}
    if path is not None:
        _merge(merged, _from_file(path))
    _merge(merged, [Setting(name, value, variable) for variable, name, value in settings(environ)])
    command_line = _from_command_line(overrides)
    if any(setting.name == "listeners" for setting in command_line):
        # --port beside a server.properties: what the file says of its own listeners is not meant for this one.
        for name in _ABOUT_LISTENERS:
            merged.pop(name, None)
    _merge(merged, command_line)
    for setting in merged.values():
        _check(setting)
    config = BrokerConfig(_texts(merged))
    try:
        validate_broker(config)
    except ConfigError as error:
        raise ConfigError(_with_source(str(error), merged)) from None
    _tell_what_has_no_effect(config)
    return config


def _from_file(path: str) -> list[Setting]:
    from pykbroker.config.properties import parse_properties

    try:
        with open(path, "rb") as file:
            text = _decoded(file.read())
        return [Setting(name, value, f"{path}:{line}") for name, value, line in parse_properties(text)]
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"cannot read {path}: {error}") from None


def _decoded(raw: bytes) -> str:
    """As people write today, else as Java reads."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _from_command_line(overrides: Sequence[str]) -> list[Setting]:
    result = []
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator or not name.strip():
            raise ConfigError(f"--set {override}: must be NAME=VALUE")
        result.append(Setting(name.strip(), value, "--set"))
    return result


def _merge(merged: dict[str, Setting], settings: Sequence[Setting]) -> None:
    """One source over the earlier ones: its settings also remove the synonyms that those have set."""
    given = {setting.name for setting in settings}
    for name in given:
        for synonym in (*BROKER_SYNONYMS.get(name, ()), *_ALSO_SYNONYMS.get(name, ())):
            if synonym not in given:
                merged.pop(synonym, None)
    merged.update((setting.name, setting) for setting in settings)


def _check(setting: Setting) -> None:
    """Raises ConfigError for an unknown or ill-typed setting."""
    name, value, source = setting
    row = row_of(name) if name in BROKER or base_name(name) else None
    if row is not None:
        try:
            parse_valid(name, value, row)
        except InvalidValue as error:
            raise ConfigError(f"{source}: {name}={_shown(name, value)}: {error.reason}") from None
    elif not is_overlooked(name):
        meant = nearest(name)
        hint = f"; did you mean {meant}?" if meant else ""
        shown = _shown(meant or name, value)
        raise ConfigError(f"{source}: unknown setting {name}={shown}: Kafka 4.3 has no such config{hint}")


def _with_source(message: str, merged: Mapping[str, Setting]) -> str:
    """The message begins with the setting that it is about."""
    setting = merged.get(re.split("[=: ]", message, maxsplit=1)[0])
    return message if setting is None else f"{setting.source}: {message}"


def _shown(name: str, value: str) -> str:
    """On one line; what may be a secret is not shown."""
    row = row_of(name)
    if row[0] == PASSWORD if row else re.search("password|secret|jaas", name):
        return "[hidden]"
    return value if value.isprintable() else repr(value)


def _texts(merged: Mapping[str, Setting]) -> dict[str, str]:
    texts = {setting.name: setting.value for setting in merged.values()}
    # Either name of the id sets both (KafkaConfig.populateSynonyms).
    for name, other in (("node.id", "broker.id"), ("broker.id", "node.id")):
        if name in texts and other not in texts:
            texts[other] = texts[name]
    return texts


def _tell_what_has_no_effect(config: BrokerConfig) -> None:
    names = [name for name in config.texts if _has_no_effect(config, name)]
    if names:
        LOG.warning("accepted, but without effect here: %s", ", ".join(sorted(names)))


def _has_no_effect(config: BrokerConfig, name: str) -> bool:
    row = BROKER.get(name)
    if row is None:
        return True
    if not row[4] & INERT or name == "broker.id":
        return False
    default = getattr(BrokerConfig, name.replace(".", "_"), None)
    return bool(config.get(name) != default)
