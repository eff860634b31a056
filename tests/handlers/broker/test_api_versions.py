"""ApiVersions, as the real Kafka 4.3.1 answers it; this broker advertises less."""

import json
from functools import cache
from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from tests.golden_data import golden_path
from tests.handlers.broker.asker import Asker

VERSIONS = range(5)
METADATA_VERSION = 30
# At least what this broker serves today, whatever else is advertised.
SERVED = {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 32, 33, 35, 37, 42, 44, 47, 60, 75}


def versions(asker: Asker, version: int, name: str = "test", software_version: str = "1.0") -> Any:
    request = ApiVersionsRequest(client_software_name=name, client_software_version=software_version)
    return asker.ask(request, version)


@cache
def advertised_by_kafka() -> dict[int, tuple[int, int]]:
    reference = json.loads(golden_path("reference", "api-versions.json").read_text())
    return {int(key): (low, high) for key, (low, high) in reference["broker"]["apis"].items()}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_versions_are_kafkas(cluster: Asker, version: int) -> None:
    response = versions(cluster, version)
    assert (response.error_code, response.throttle_time_ms) == (0, 0)
    rows = {row.api_key: (row.min_version, row.max_version) for row in response.api_keys}
    assert len(rows) == len(response.api_keys)
    assert rows.items() <= advertised_by_kafka().items()
    assert rows.keys() >= SERVED


@pytest.mark.parametrize("version", VERSIONS)
def test_features(cluster: Asker, version: int) -> None:
    response = versions(cluster, version)
    finalized = {row.name: (row.min_version_level, row.max_version_level) for row in response.finalized_features}
    supported = {row.name: (row.min_version, row.max_version) for row in response.supported_features}
    assert response.zk_migration_ready is False
    if version < 3:
        assert (finalized, supported, response.finalized_features_epoch) == ({}, {}, -1)
        return
    assert response.finalized_features_epoch > 0
    assert finalized["metadata.version"] == (METADATA_VERSION, METADATA_VERSION)
    assert finalized["eligible.leader.replicas.version"] == (1, 1)
    assert supported["metadata.version"] == (7, METADATA_VERSION)
    if version == 3:
        assert set(supported) == {"metadata.version"}, "its clients trip over a lowest level of 0"
    else:
        assert supported["kraft.version"] == (0, 1)
        assert supported["eligible.leader.replicas.version"] == (0, 1)
        assert supported.keys() >= finalized.keys()


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    ("name", "software_version"),
    [("", "1"), ("x", ""), ("-x", "1"), ("x-", "1"), (".x", "1"), ("a b", "1"), ("x", "1_0"), ("x", "é"), ("x\n", "1")],
)
def test_names_that_are_refused(cluster: Asker, version: int, name: str, software_version: str) -> None:
    response = versions(cluster, version, name, software_version)
    assert (response.error_code, response.api_keys) == (ErrorCode.INVALID_REQUEST, [])
    assert (response.supported_features, response.finalized_features) == ([], [])
    assert response.finalized_features_epoch == -1


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(("name", "software_version"), [("a.b-c", "1-2.3"), ("a", "1"), ("a--b", "v1..2")])
def test_names_that_are_accepted(cluster: Asker, version: int, name: str, software_version: str) -> None:
    assert versions(cluster, version, name, software_version).error_code == 0
