"""Which feature levels a fresh cluster begins with (Formatter.calculateEffectiveFeatureLevels, KIP-1022).

Loaded by the commands that format a directory alone; a broker's start takes features.INITIAL_FEATURES.
"""

from collections.abc import Iterable, Mapping

from pykbroker.metadata.image import METADATA_VERSION
from pykbroker.protocol.feature_levels import (
    FEATURES,
    LATEST_METADATA_VERSION,
    LATEST_PRODUCTION_METADATA_VERSION,
    METADATA_VERSIONS,
    MINIMUM_METADATA_VERSION,
)

KRAFT_VERSION = "kraft.version"


class InvalidFeature(ValueError):
    """str() tells which feature or release is wrong, and what would be right."""


def highest_metadata_version(*, unstable: bool) -> int:
    """What a fresh cluster gets unless told otherwise; `unstable` is unstable.feature.versions.enable."""
    return LATEST_METADATA_VERSION if unstable else LATEST_PRODUCTION_METADATA_VERSION


def metadata_version_of(release: str, *, unstable: bool) -> int:
    """The level of 4.3-IV0, or the last one of 4.3; what follows a second dot does not count (fromVersionString).

    Raises InvalidFeature.
    """
    wanted = ".".join(release.split(".")[:2])
    highest = highest_metadata_version(unstable=unstable)
    known = [row for level, row in METADATA_VERSIONS.items() if level <= highest]
    for row in reversed(known):
        # As in Kafka a short name stands for stable levels only.
        if wanted == row.version or (wanted == row.short and row.is_production):
            return row.level
    names = ", ".join(row.version for row in known)
    raise InvalidFeature(f"{release} is no release whose metadata.version is known here; choose one of {names}")


def parse_levels(texts: Iterable[str]) -> dict[str, int]:
    """name=level of each text; the last one of a name counts. Raises InvalidFeature."""
    levels = {}
    for text in texts:
        name, equals, level = (part.strip() for part in text.partition("="))
        if not equals or not level.isdecimal() or int(level) > 0x7FFF:
            raise InvalidFeature(f"{text} must be NAME=LEVEL with a number as level, e.g. share.version=1")
        levels[name] = int(level)
    return levels


def initial_levels(
    release: int | None, chosen: Mapping[str, int], *, has_dynamic_quorum: bool, unstable: bool
) -> dict[str, int]:
    """Level by feature, metadata.version first, then by name; those at 0 and kraft.version too.

    `release` is a metadata.version, None for the highest one; `chosen` are levels that the user wants. Raises
    InvalidFeature.
    """
    for name in chosen:
        if name not in FEATURES and name != METADATA_VERSION:
            raise InvalidFeature(f"{name} is no feature of Kafka 4.3; there are {', '.join(sorted(FEATURES))}")
    metadata_version = _metadata_version(release, chosen.get(METADATA_VERSION), unstable=unstable)
    levels = {METADATA_VERSION: metadata_version}
    for name in sorted(FEATURES):
        default = int(has_dynamic_quorum) if name == KRAFT_VERSION else FEATURES[name].default_level(metadata_version)
        levels[name] = chosen.get(name, default)
    _check_quorum(levels[KRAFT_VERSION], has_dynamic_quorum=has_dynamic_quorum)
    for name in FEATURES:
        _check_level(name, levels)
    return levels


def _metadata_version(release: int | None, chosen: int | None, *, unstable: bool) -> int:
    if chosen is None:
        return release or highest_metadata_version(unstable=unstable)
    if release is not None:
        raise InvalidFeature(f"{METADATA_VERSION}={chosen} and a release are both given: leave one of them out")
    if not MINIMUM_METADATA_VERSION <= chosen <= LATEST_METADATA_VERSION:
        raise InvalidFeature(
            f"{METADATA_VERSION}={chosen} does not exist: levels are "
            f"{MINIMUM_METADATA_VERSION} to {highest_metadata_version(unstable=unstable)}"
        )
    if chosen > highest_metadata_version(unstable=unstable):
        raise InvalidFeature(
            f"{METADATA_VERSION}={chosen} ({METADATA_VERSIONS[chosen].version}) is not yet stable: choose at most "
            f"{LATEST_PRODUCTION_METADATA_VERSION}, or set unstable.feature.versions.enable=true"
        )
    return chosen


def _check_quorum(level: int, *, has_dynamic_quorum: bool) -> None:
    if level == 0 and has_dynamic_quorum:
        raise InvalidFeature(
            f"{KRAFT_VERSION}=0 needs voters in controller.quorum.voters, which is not set; without it the quorum is "
            f"dynamic: leave {KRAFT_VERSION} out"
        )
    if level and not has_dynamic_quorum:
        raise InvalidFeature(
            f"{KRAFT_VERSION}={level} is for dynamic quorums: leave controller.quorum.voters out, set "
            "controller.quorum.bootstrap.servers, and choose one of --standalone, --initial-controllers and "
            "--no-initial-controllers"
        )


def _check_level(name: str, levels: Mapping[str, int]) -> None:
    level = levels[name]
    row = next((each for each in FEATURES[name].levels if each.level == level), None)
    if row is None:
        feature = FEATURES[name]
        raise InvalidFeature(f"{name} has no level {level}, only {feature.minimum} to {feature.latest_production}")
    for other, needed in row.needs.items():
        if levels.get(other, 0) < needed:
            raise InvalidFeature(f"{name}={level} needs {other}={needed} at least, which is {levels.get(other, 0)}")
