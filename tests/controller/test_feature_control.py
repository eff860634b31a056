"""Feature levels among brokers and controllers that do not all support them, and what their change writes."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller.feature_control import FeatureControl, Update
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.metadata.image import (
    BROKER_RESOURCE,
    ConfigsImage,
    ControllerRegistration,
    FeaturesImage,
    MetadataImage,
)
from pykbroker.protocol.enums import UpgradeType
from pykbroker.protocol.error_codes import ErrorCode
from tests.controller.images import broker, image_of, replayed

METADATA, ELR, KRAFT = "metadata.version", "eligible.leader.replicas.version", "kraft.version"
UP, SAFE, UNSAFE = UpgradeType.UPGRADE, UpgradeType.SAFE_DOWNGRADE, UpgradeType.UNSAFE_DOWNGRADE
ALL = dict(SUPPORTED_FEATURES)
MIN_ISR = "min.insync.replicas"


def image(features: dict[str, tuple[int, int]] = ALL, **finalized: int) -> MetadataImage:
    """Broker 1 supports everything, broker 2 `features`. `finalized`: metadata_version, elr."""
    levels = {METADATA: finalized.get("metadata_version", 30), ELR: finalized.get("elr", 0)}
    state = image_of(broker(1, features=ALL), broker(2, features=features))
    return state._replace(features=FeaturesImage(levels))


def control(state: MetadataImage, kraft_version: int = 0, *, has_listener: bool = True) -> FeatureControl:
    return FeatureControl(state, BrokerConfig({MIN_ISR: "2"}), 1, kraft_version, has_listener=has_listener)


def reason(state: MetadataImage, name: str, level: int, kind: int = UP, kraft_version: int = 0) -> str:
    with pytest.raises(KafkaError) as caught:
        control(state, kraft_version).update({name: Update(level, kind)})
    assert caught.value.code == ErrorCode.INVALID_UPDATE_VERSION
    return str(caught.value.message)


def levels(state: MetadataImage, **updates: Update) -> dict[str, int]:
    """The finalized levels afterwards; `updates`: metadata_version, elr."""
    names = {"metadata_version": METADATA, "elr": ELR}
    result = control(state).update({names[name]: update for name, update in updates.items()})
    return dict(replayed(state, result.records).features.finalized)


def test_a_broker_that_supports_less_holds_the_level_back() -> None:
    state = image({METADATA: (7, 25)}, metadata_version=23)
    told = reason(state, METADATA, 30)
    assert told == "Invalid update version 30 for feature metadata.version. Broker 2 only supports versions 7-25"
    assert reason(state, ELR, 1).endswith("Broker 2 does not support this feature.")
    assert levels(state, metadata_version=Update(25, UP))[METADATA] == 25


@pytest.mark.parametrize(("metadata_version", "is_asked"), [(15, True), (14, False)])
def test_other_controllers_are_asked_where_they_register(metadata_version: int, is_asked: bool) -> None:
    other = ControllerRegistration(9, Uuid.random(), False, (), {METADATA: (7, 20)})
    state = image(metadata_version=metadata_version)._replace(controllers={9: other, 1: other._replace(id=1)})
    if is_asked:
        assert reason(state, METADATA, 21).endswith("Controller 9 only supports versions 7-20")
    else:
        assert levels(state, metadata_version=Update(21, UP))[METADATA] == 21


@pytest.mark.parametrize(
    ("start", "end", "is_lossless"), [(29, 23, True), (29, 22, False), (30, 29, False), (20, 17, True), (13, 11, False)]
)
@pytest.mark.parametrize("kind", [SAFE, UNSAFE])
def test_metadata_version_goes_down_as_far_as_nothing_is_lost(
    start: int, end: int, is_lossless: bool, kind: int
) -> None:
    state = image(metadata_version=start)
    if is_lossless:
        assert levels(state, metadata_version=Update(end, kind))[METADATA] == end
    else:
        assert reason(state, METADATA, end, kind).startswith(
            f"Unsupported metadata.version downgrade from {start} to {end}. "
        )


def test_elr_needs_its_records() -> None:
    state = image(metadata_version=22)
    assert reason(state, ELR, 1) == (
        f"Invalid update version 1 for feature {ELR}. {ELR} could not be set to 1 because it depends on "
        "metadata.version level 23"
    )
    together = levels(state, elr=Update(1, UP), metadata_version=Update(23, UP))
    assert (together[METADATA], together[ELR]) == (23, 1)


def test_elr_makes_min_insync_replicas_the_clusters() -> None:
    configs = {(BROKER_RESOURCE, "1"): {MIN_ISR: "3", "other": "x"}, (BROKER_RESOURCE, "2"): {"other": "y"}}
    state = image()._replace(configs=ConfigsImage(configs))
    after = replayed(state, control(state).update({ELR: Update(1, UP)}).records)
    assert after.configs.broker("") == {MIN_ISR: "2"}
    assert (after.configs.broker(1), after.configs.broker(2)) == ({"other": "x"}, {"other": "y"})
    again = replayed(after, control(after).update({ELR: Update(0, SAFE)}).records)
    assert again.features.level(ELR) == 0
    assert again.configs.broker("") == {MIN_ISR: "2"}


def test_the_quorums_own_version() -> None:
    state = image()
    assert control(state).update({KRAFT: Update(0, UP)}).records == []
    assert control(state, 1).update({KRAFT: Update(1, UP)}).records == []
    assert reason(state, KRAFT, 0, SAFE, kraft_version=1).endswith("Can't downgrade the version of this feature.")
    up = {KRAFT: Update(1, UP)}
    assert [type(record).__name__ for record in control(state).update(up).records] == ["NoOpRecord"]
    assert [control(state, level).raises_quorum(up) for level in (0, 1)] == [True, False]
    # The embedded controller has no endpoint that could be written down for a voter.
    with pytest.raises(KafkaError, match="has no listener to be known by as a voter"):
        control(state, has_listener=False).update(up)


def test_features_that_are_not_supported_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another broker's directory may say share.version 1 to one that does not claim to support that."""
    monkeypatch.delitem(SUPPORTED_FEATURES, "share.version")
    state = image()._replace(features=FeaturesImage({METADATA: 30, "share.version": 1}))
    assert reason(state, "share.version", 1).endswith("Local controller 1 does not support this feature.")
    after = replayed(state, control(state).update({"share.version": Update(0, SAFE)}).records)
    assert after.features.level("share.version") == 0
