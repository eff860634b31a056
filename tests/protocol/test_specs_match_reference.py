"""protocol_specs/ says exactly what Kafka 4.3.1 says: nothing missing, nothing more."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden_data import golden_path
from tools.generate.enums import EnumSpecs, parse_enums
from tools.generate.errors import parse_errors
from tools.generate.features import FeatureSpecs, parse_features
from tools.generate.notation import OPEN, Api, Field, Message, SpecFile, Struct, parse_folder, parse_versions, snake

SPECS = Path(__file__).resolve().parents[2] / "protocol_specs"
Versions = frozenset[int]
PERSISTED = {
    "metadata": "metadata",
    "group": "group-coordinator",
    "transaction": "transaction-coordinator",
    "share": "share-coordinator",
    "raft": "raft",
    "storage": "storage",
}
TOP = 64  # above every version of Kafka's schemas


def reference(name: str) -> Any:
    path = golden_path("reference", name)
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


@pytest.fixture(scope="module")
def kafka() -> dict[str, Any]:
    found: dict[str, Any] = reference("messages.json.gz")
    return found


@pytest.fixture(scope="module")
def api_files() -> list[SpecFile]:
    return parse_folder(SPECS / "apis")


def version_set(text: str | None) -> Versions:
    """Kafka's notation of versions as a set; absent means all."""
    if text is None:
        return frozenset(range(TOP))
    if text == "none":
        return frozenset()
    parsed = parse_versions(text)
    assert parsed is not None, text
    return frozenset(v for v in range(TOP) if v in parsed)


def kafka_fields(schema: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Every field with its path, in order, and all that Kafka says of it for the valid versions."""
    common = {struct["name"]: struct for struct in schema.get("commonStructs", [])}
    rows: list[tuple[Any, ...]] = []

    def walk(fields: list[dict[str, Any]], path: str, within: Versions) -> None:
        for field in fields:
            present = version_set(field.get("versions") or field.get("taggedVersions")) & within
            default = field.get("default")
            rows.append(
                (
                    f"{path}.{field['name']}",
                    field["type"],
                    present,
                    version_set(field.get("nullableVersions", "none")) & present,
                    None if default is None else str(default).lower() if isinstance(default, bool) else str(default),
                    field.get("tag"),
                    version_set(field.get("taggedVersions", "none")) & present,
                    str(field.get("ignorable", False)).lower() == "true",
                    field.get("mapKey", False),
                    field.get("entityType"),
                    field.get("flexibleVersions") == "none",
                    field.get("zeroCopy", False),
                )
            )
            kind = field["type"].removeprefix("[]")
            if kind[0].isupper() and present:
                struct = common.get(kind, {})
                below = present & version_set(struct.get("versions"))
                walk(field.get("fields") or struct["fields"], rows[-1][0], below)

    walk(schema["fields"], "", version_set(schema["validVersions"]))
    return rows


def spec_fields(message: Message) -> list[tuple[Any, ...]]:
    """The same of a parsed spec."""
    rows: list[tuple[Any, ...]] = []

    def walk(struct: Struct, path: str, within: Versions) -> None:
        for field in struct.fields:
            present = versions_of(field, within)
            nullable = frozenset(v for v in present if field.nullable is not None and v in field.nullable)
            rows.append(
                (
                    f"{path}.{field.name}",
                    ("[]" if field.array else "") + field.type,
                    present,
                    nullable,
                    field.default,
                    field.tag,
                    present if field.tag is not None else frozenset(),
                    field.ignorable,
                    field.map_key,
                    field.entity,
                    field.classic,
                    field.zero_copy,
                )
            )
            if field.struct is not None and present:
                walk(field.struct, rows[-1][0], present)

    walk(message.body, "", message.valid)
    return rows


def versions_of(field: Field, within: Versions) -> Versions:
    return within if field.versions is None else frozenset(v for v in within if v in field.versions)


def flexible(message: Message | Api) -> str:
    return "none" if message.flexible_from == OPEN else f"{message.flexible_from}+"


def assert_same(message: Message, schema: dict[str, Any]) -> None:
    assert message.name == schema["name"]
    assert message.valid == version_set(schema["validVersions"]), message.name
    assert flexible(message) == schema["flexibleVersions"], message.name
    assert (message.unstable is not None) == (schema.get("latestVersionUnstable", False) is True) or (
        message.kind == "response"  # Kafka says it of the request alone
    )
    assert spec_fields(message) == kafka_fields(schema), message.name


def test_apis(kafka: dict[str, Any], api_files: list[SpecFile]) -> None:
    ours = {api.key: api for spec in api_files for api in spec.apis}
    assert sorted(ours) == sorted(api["key"] for api in kafka["apis"])
    assert len([api for api in ours.values() if api.versions is not None]) == 89
    for theirs in kafka["apis"]:
        api = ours[theirs["key"]]
        assert (api.name, snake(api.name).upper()) == (theirs["name"], theirs["constant"])
        assert api.listeners == theirs["listeners"]
        assert (api.cluster_action, api.forwardable) == (theirs["clusterAction"], theirs["forwardable"])
        assert (api.unstable is not None) == theirs["latestVersionUnstable"]
        if api.versions is None:
            assert (theirs["highestVersion"], theirs["request"]["validVersions"]) == (-1, "none")
            assert theirs["response"]["validVersions"] == "none"
            continue
        assert (api.versions.low, api.versions.high) == (theirs["lowestVersion"], theirs["highestVersion"])
        assert (api.unstable or api.versions.high + 1) - 1 == theirs["highestStableVersion"]
        assert api.request is not None
        assert api.response is not None
        assert_same(api.request, theirs["request"])
        assert_same(api.response, theirs["response"])
        for version, headers in theirs["headerVersions"].items():
            is_flexible = int(version) >= api.flexible_from
            response = int(is_flexible) if api.response_header is None else api.response_header
            assert headers == [1 + is_flexible, response]


def test_apis_without_fields(api_files: list[SpecFile]) -> None:
    """apis.json says the same again, with the flexible ranges."""
    ours = {api.key: api for spec in api_files for api in spec.apis}
    for theirs in reference("apis.json"):
        api = ours[theirs["key"]]
        if api.versions is not None:
            assert theirs["requestFlexible"] == theirs["responseFlexible"] == flexible(api)


def test_each_api_has_its_file(api_files: list[SpecFile]) -> None:
    for spec in api_files:
        if spec.path.name != "removed.spec":
            (api,) = spec.apis
            assert spec.path.name == f"{api.key:02}_{snake(api.name)}.spec"


@pytest.mark.parametrize("folder", PERSISTED)
def test_persisted(kafka: dict[str, Any], folder: str) -> None:
    ours = {message.name: message for spec in parse_folder(SPECS / "persisted" / folder) for message in spec.messages}
    theirs = {schema["name"]: schema for schema in kafka["records"][PERSISTED[folder]]}
    assert ours.keys() == theirs.keys()
    for name, schema in theirs.items():
        assert (ours[name].kind, ours[name].key) == (schema["type"], schema.get("key"))
        assert_same(ours[name], schema)


def test_embedded_and_headers(kafka: dict[str, Any]) -> None:
    ours = {message.name: message for spec in parse_folder(SPECS / "embedded") for message in spec.messages}
    theirs = {schema["name"]: schema for schema in kafka["headers"] + kafka["data"] + kafka["records"]["streams"]}
    assert ours.keys() == theirs.keys()
    for name, schema in theirs.items():
        assert ours[name].kind == schema["type"]
        assert_same(ours[name], schema)


def test_no_record_group_is_left_out(kafka: dict[str, Any]) -> None:
    assert set(kafka["records"]) == {*PERSISTED.values(), "streams"}


def test_errors() -> None:
    ours = parse_errors((SPECS / "errors.spec").read_text())
    keys = ("code", "name", "exception", "retriable", "refresh_retriable", "kind")
    assert [tuple(error) for error in ours] == [tuple(row.get(key) for key in keys) for row in reference("errors.json")]


def rebuilt_enums(specs: EnumSpecs) -> dict[str, Any]:
    """enums.json whole, out of our spec."""
    rebuilt: dict[str, Any] = {}
    for enum in specs.enums:
        members = [{"name": name, **values} for name, values in enum.members]
        outer, _, inner = enum.kafka_name.partition("/")
        if inner:
            rebuilt.setdefault(outer, {})[inner] = members
        else:
            rebuilt[outer] = members
    for table in specs.sets:
        rebuilt[table.kafka_name] = table.rows
    for table in specs.constants:
        rows = {name: value for name, (value,) in table.rows.items()}
        outer, _, inner = table.kafka_name.partition("/")
        if inner:
            rebuilt.setdefault(outer, {})[inner] = rows
        else:
            rebuilt[outer] = rows
    return rebuilt


def test_enums() -> None:
    specs = parse_enums((SPECS / "enums.spec").read_text())
    assert rebuilt_enums(specs) == reference("enums.json")


def rebuilt_features(specs: FeatureSpecs) -> dict[str, Any]:
    versions = [str(row["version"]) for row in specs.table]
    features = {
        feature.name: {
            "minimum": feature.minimum,
            "latest_production": feature.latest_production,
            "latest_testing": feature.latest_testing,
            "supported_range": "SupportedVersionRange"
            f"[min_version:{feature.minimum}, max_version:{feature.latest_production}]",
            "levels": [
                {"level": level.level, "bootstrap_metadata_version": level.bootstrap, "dependencies": level.needs}
                for level in feature.levels
            ],
            "default_level_at": {version: specs.default_level(feature, version) for version in versions},
        }
        for feature in specs.others
    }
    limits = specs.metadata
    return {
        "metadata.version": specs.table,
        "metadata.version.range": {
            "minimum": limits.minimum,
            "latest_production": limits.latest_production,
            "latest_testing": limits.latest_testing,
        },
        "features": features,
    }


def test_features() -> None:
    specs = parse_features((SPECS / "features.spec").read_text())
    assert rebuilt_features(specs) == reference("features.json")
