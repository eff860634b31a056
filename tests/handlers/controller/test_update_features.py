"""UpdateFeatures, as the real Kafka 4.3.1 answers it; changes are put back."""

from typing import Any

import pytest

from pykbroker.protocol.enums import UpgradeType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually

UPGRADE, SAFE, UNSAFE = UpgradeType.UPGRADE, UpgradeType.SAFE_DOWNGRADE, UpgradeType.UNSAFE_DOWNGRADE
METADATA, ELR = "metadata.version", "eligible.leader.replicas.version"
LEVEL = 30
NOT_WITHOUT_TYPE = (
    "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade."
)
UNKNOWN_TYPE = "The controller does not support the given upgrade type."
FAILED = "The update failed for all features since the following feature had an error: "

Update = tuple[str, int] | tuple[str, int, int]


def ask(asker: Asker, *updates: Update, version: int = 2, **fields: Any) -> Any:
    """(feature, level, upgrade type) each."""
    rows = []
    for name, level, *kind in updates:
        row = FeatureUpdateKey(feature=name, max_version_level=level)
        if version >= 1:
            row.upgrade_type = kind[0] if kind else UPGRADE
        rows.append(row)
    response = asker.ask(UpdateFeaturesRequest(feature_updates=rows, timeout_ms=10_000, **fields), version)
    assert response.throttle_time_ms == 0
    return response


def refusal(asker: Asker, *updates: Update, **fields: Any) -> str:
    response = ask(asker, *updates, **fields)
    assert (response.error_code, response.results) == (ErrorCode.INVALID_UPDATE_VERSION, [])
    assert response.error_message.startswith(FAILED)
    return str(response.error_message.removeprefix(FAILED))


def is_done(response: Any) -> bool:
    return (response.error_code, response.error_message) == (0, None)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_levels_as_they_are(cluster: Asker, version: int) -> None:
    response = ask(cluster, (METADATA, LEVEL), (ELR, 1), version=version)
    assert is_done(response)
    told = [(row.feature, row.error_code, row.error_message) for row in response.results]
    assert told == ([(METADATA, 0, "NONE"), (ELR, 0, "NONE")] if version < 2 else [])
    nothing = ask(cluster, version=version)
    assert is_done(nothing)
    assert nothing.results == []


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize(
    ("feature", "level", "reason"),
    [
        (METADATA, 31, "Local controller 1 only supports versions 7-30"),
        (METADATA, 6, "Local controller 1 only supports versions 7-30"),
        (METADATA, 0, "Local controller 1 only supports versions 7-30"),
        (METADATA, -1, "A feature version cannot be less than 0."),
        (METADATA, 29, NOT_WITHOUT_TYPE),
        (ELR, 2, "Local controller 1 only supports versions 0-1"),
        (ELR, 0, NOT_WITHOUT_TYPE),
        ("kraft.version", 2, "Local controller 1 only supports versions 0-1"),
        ("transaction.version", 3, "Local controller 1 only supports versions 0-2"),
        ("transaction.version", 1, NOT_WITHOUT_TYPE),
        ("nope", 1, "Local controller 1 does not support this feature."),
        ("nope", 0, "Feature nope not found."),
        ("", 0, "Feature  not found."),
    ],
)
def test_levels_that_cannot_be(cluster: Asker, version: int, feature: str, level: int, reason: str) -> None:
    told = refusal(cluster, (feature, level), version=version)
    assert told == f"Invalid update version {level} for feature {feature}. {reason}"


@pytest.mark.parametrize("kind", [0, 4, -1])
def test_unknown_upgrade_types(cluster: Asker, kind: int) -> None:
    for feature, level in ((METADATA, LEVEL), (METADATA, 99), (ELR, -1), ("nope", 1)):
        told = refusal(cluster, (feature, level, kind), validate_only=True)
        assert told == f"Invalid update version {level} for feature {feature}. {UNKNOWN_TYPE}"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (SAFE, "Refusing to perform the requested downgrade because it might delete metadata information."),
        (UNSAFE, "Unsafe metadata downgrade is not supported in this version."),
    ],
)
def test_a_downgrade_that_would_lose_metadata(cluster: Asker, version: int, kind: int, reason: str) -> None:
    for level in (29, 22, 7):
        told = refusal(cluster, (METADATA, level, kind), version=version)
        assert told == f"Unsupported metadata.version downgrade from 30 to {level}. {reason}"


@pytest.mark.parametrize("kind", [SAFE, UNSAFE])
def test_levels_as_they_are_by_a_downgrade(cluster: Asker, kind: int) -> None:
    assert is_done(ask(cluster, (METADATA, LEVEL, kind), (ELR, 1, kind)))


def test_all_or_nothing(cluster: Asker) -> None:
    told = refusal(cluster, (ELR, 0, SAFE), ("nope", 1))
    assert told == "Invalid update version 1 for feature nope. Local controller 1 does not support this feature."
    assert levels(cluster)[ELR] == 1


def test_validation_alone_changes_nothing(cluster: Asker) -> None:
    for kind in (SAFE, UNSAFE):
        for name, level in ((ELR, 0), ("transaction.version", 0), ("transaction.version", 1)):
            assert is_done(ask(cluster, (name, level, kind), validate_only=True))
    assert levels(cluster)[ELR] == 1


def test_down_and_up_again(cluster: Asker) -> None:
    try:
        assert is_done(ask(cluster, (ELR, 0, SAFE)))
        eventually(lambda: levels(cluster), lambda told: ELR not in told)
        up = refusal(cluster, (ELR, 1, SAFE))
        assert up == f"Invalid update version 1 for feature {ELR}. Can't downgrade to a newer version."
    finally:
        assert is_done(ask(cluster, (ELR, 1)))
    eventually(lambda: levels(cluster), lambda told: told.get(ELR) == 1)


def test_of_two_updates_of_a_feature_the_last_counts(cluster: Asker) -> None:
    assert is_done(ask(cluster, (ELR, 0, SAFE), (ELR, 1)))
    assert levels(cluster)[ELR] == 1


def levels(asker: Asker) -> dict[str, int]:
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    return {row.name: row.max_version_level for row in asker.ask(request, 4).finalized_features}
