"""Parse features.spec and emit protocol/feature_levels.py."""

import json
from pathlib import Path
from typing import NamedTuple

from tools.generate.enums import constant
from tools.generate.messages import header
from tools.generate.notation import SpecError

METADATA = "metadata.version"
Cell = str | int | bool | None


class Level(NamedTuple):
    level: int
    bootstrap: str  # the metadata.version by name that makes this level the default
    needs: dict[str, int]


class Feature(NamedTuple):
    name: str
    minimum: int
    latest_production: int
    latest_testing: int
    levels: list[Level]


class FeatureSpecs(NamedTuple):
    metadata: Feature
    columns: list[str]
    table: list[dict[str, Cell]]  # one row per metadata.version
    others: list[Feature]

    def default_level(self, feature: Feature, version: str) -> int:
        """The highest level that this metadata.version brings by default."""
        order = [row["version"] for row in self.table]
        known = order[: order.index(version) + 1]
        return max(level.level for level in feature.levels if level.bootstrap in known)


def parse_head(words: list[str]) -> Feature:
    low, high = words[2].split("-")
    return Feature(words[1], int(low), int(high), int(words[4]), [])


def parse_features(text: str) -> FeatureSpecs:
    metadata: Feature | None = None
    columns: list[str] = []
    table: list[dict[str, Cell]] = []
    others: list[Feature] = []
    for raw in text.splitlines():
        words = raw.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] == "feature" and words[1] == METADATA:
            metadata, columns = parse_head(words), words[6:]
        elif words[0] == "feature":
            others.append(parse_head(words))
        elif others:
            needs = dict(item.split("=") for item in words[3:])
            wanted = {name: int(level) for name, level in needs.items()}
            others[-1].levels.append(Level(int(words[0]), words[1], wanted))
        else:
            cells = zip(columns, words[1:], strict=True)
            table.append({"level": int(words[0]), **{column: cell(column, word) for column, word in cells}})
    if metadata is None:
        raise SpecError(f"features.spec: no {METADATA}")
    return FeatureSpecs(metadata, columns, table, others)


def cell(column: str, word: str) -> Cell:
    if column in ("version", "short"):
        return word
    if word == "none":
        return None
    value: Cell = json.loads(word)
    return value


def generate(specs: Path) -> dict[str, str]:
    parsed = parse_features((specs / "features.spec").read_text(encoding="utf-8"))
    names = [attribute(column) for column in parsed.columns]
    lines = [
        header("protocol_specs/features.spec").rstrip(),
        '"""Levels of metadata.version and of the other features (org.apache.kafka.server.common)."""',
        "",
        "from typing import NamedTuple",
        "",
        "",
        "class MetadataVersion(NamedTuple):",
        "    level: int",
        *(f"    {name}: {type_of(parsed, column)}" for name, column in zip(names, parsed.columns, strict=True)),
        "",
        "",
        "class FeatureLevel(NamedTuple):",
        "    level: int",
        "    metadata_version: int  # from which on this level is the default",
        "    needs: dict[str, int]",
        "",
        "",
        "class FeatureRange(NamedTuple):",
        "    minimum: int",
        "    latest_production: int",
        "    latest_testing: int",
        "    levels: tuple[FeatureLevel, ...]",
        "",
        "    def default_level(self, metadata_version: int) -> int:",
        '        """The level that a cluster of this metadata.version gets unless told otherwise."""',
        "        return max(item.level for item in self.levels if item.metadata_version <= metadata_version)",
        "",
        "",
        "# metadata.version: level → what it enables.",
        "METADATA_VERSIONS: dict[int, MetadataVersion] = {",
    ]
    for row in parsed.table:
        values = ", ".join(json.dumps(v) if isinstance(v, str) else repr(v) for v in row.values())
        words = values.split(", ")
        lines += [f"    {row['level']}: MetadataVersion("]
        lines += [f"        {', '.join(words[:8])},", f"        {', '.join(words[8:])},", "    ),"]
    low, high, latest = parsed.metadata.minimum, parsed.metadata.latest_production, parsed.metadata.latest_testing
    lines += [
        "}",
        f"MINIMUM_METADATA_VERSION = {low}",
        f"LATEST_PRODUCTION_METADATA_VERSION = {high}",
        f"LATEST_METADATA_VERSION = {latest}",
        "",
        "# The other features.",
        "FEATURES: dict[str, FeatureRange] = {",
    ]
    level_of = {row["version"]: row["level"] for row in parsed.table}
    for feature in parsed.others:
        lines.append(f'    "{feature.name}": FeatureRange(')
        lines.append(f"        {feature.minimum}, {feature.latest_production}, {feature.latest_testing},")
        lines.append("        (")
        for level in feature.levels:
            facts = f"{level.level}, {level_of[level.bootstrap]}, {json.dumps(level.needs)}"
            lines.append(f"            FeatureLevel({facts}),")
        lines += ["        ),", "    ),"]
    lines.append("}")
    return {"pykbroker/protocol/feature_levels.py": "\n".join(lines) + "\n"}


def attribute(column: str) -> str:
    return constant(column).lower()


def type_of(parsed: FeatureSpecs, column: str) -> str:
    values = [row[column] for row in parsed.table]
    kind = next(type(value).__name__ for value in values if value is not None)
    return f"{kind} | None" if None in values else kind
