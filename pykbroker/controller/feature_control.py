"""Feature levels: which may be raised and lowered, and what that writes (FeatureControlManager, KIP-584, KIP-778)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.controller.result import ControllerResult
from pykbroker.controller.topic_control import MIN_INSYNC_REPLICAS
from pykbroker.errors import KafkaError
from pykbroker.metadata.features import ELR_VERSION, SUPPORTED_FEATURES, allows_controller_registration
from pykbroker.metadata.image import BROKER_RESOURCE, METADATA_VERSION, MetadataImage
from pykbroker.protocol.enums import UpgradeType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.feature_levels import FEATURES, METADATA_VERSIONS

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message

KRAFT_VERSION = "kraft.version"
_DISABLED = (0, 0)
_UPGRADE_TYPES = (UpgradeType.UPGRADE, UpgradeType.SAFE_DOWNGRADE, UpgradeType.UNSAFE_DOWNGRADE)


class Update(NamedTuple):
    """`upgrade_type` as in UpgradeType, or any other number that a client sent."""

    level: int
    upgrade_type: int


class FeatureControl:
    """Decisions on one image; `kraft_version` is that of the quorum, which no image tells.

    `has_listener`: other nodes can reach the controller.
    """

    def __init__(
        self,
        image: MetadataImage,
        config: "BrokerConfig",
        node_id: int,
        kraft_version: int,
        *,
        has_listener: bool = True,
    ) -> None:
        self._image = image
        self._config = config
        self._node_id = node_id
        self._kraft_version = kraft_version
        self._has_listener = has_listener

    def update(self, updates: Mapping[str, Update]) -> ControllerResult[None]:
        """All of them or none. Raises KafkaError(INVALID_UPDATE_VERSION) for the first that cannot be.

        What raises_quorum() is not in the records: the quorum's own version stands in control records.
        """
        proposed = {**self._image.features.finalized, **{name: update.level for name, update in updates.items()}}
        records: list[Message] = []
        for name, update in updates.items():
            records.extend(self._update(name, update, proposed))
        if ELR_VERSION in updates and updates[ELR_VERSION].level > 0:
            records.extend(self._elr_records())
        return ControllerResult(records, None)

    def raises_quorum(self, updates: Mapping[str, Update]) -> bool:
        """Whether the quorum becomes a dynamic one."""
        return KRAFT_VERSION in updates and updates[KRAFT_VERSION].level > self._kraft_version

    def _update(self, name: str, update: Update, proposed: Mapping[str, int]) -> "list[Message]":
        level, upgrade_type = update
        current = self._kraft_version if name == KRAFT_VERSION else self._image.features.level(name)
        if upgrade_type not in _UPGRADE_TYPES:
            raise _invalid(name, level, "The controller does not support the given upgrade type.")
        if level < 0:
            raise _invalid(name, level, "A feature version cannot be less than 0.")
        for reason in self._reasons_not_supported(name, level):
            raise _invalid(name, level, reason)
        if level < current and upgrade_type == UpgradeType.UPGRADE:
            raise _invalid(
                name,
                level,
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or "
                "unsafe downgrade.",
            )
        if level > current and upgrade_type != UpgradeType.UPGRADE:
            raise _invalid(name, level, "Can't downgrade to a newer version.")
        if name == KRAFT_VERSION:
            return self._update_kraft_version(level, current)
        if name == METADATA_VERSION:
            _check_metadata_downgrade(current, level, is_unsafe=upgrade_type == UpgradeType.UNSAFE_DOWNGRADE)
        else:
            _check_needs(name, level, proposed)
        return [_level_record(name, level)]

    def _update_kraft_version(self, level: int, current: int) -> "list[Message]":
        if level < current:
            raise _invalid(KRAFT_VERSION, level, "Can't downgrade the version of this feature.")
        if level == current:
            return []
        if not self._has_listener:
            # Dynamic voters are known by their endpoints, and the embedded controller has none.
            reason = "The controller of this node has no listener to be known by as a voter."
            raise _invalid(KRAFT_VERSION, level, reason)
        from pykbroker.protocol.persisted.metadata.no_op_record import NoOpRecord

        return [NoOpRecord()]  # behind the control records, to be waited for

    def _reasons_not_supported(self, name: str, level: int) -> Iterator[str]:
        yield from _reason(f"Local controller {self._node_id}", SUPPORTED_FEATURES.get(name, _DISABLED), level)
        for broker in self._image.brokers.values():
            yield from _reason(f"Broker {broker.id}", broker.features.get(name, _DISABLED), level)
        if not allows_controller_registration(self._image.features.metadata_version):
            return
        for controller in self._image.controllers.values():
            if controller.id != self._node_id:
                yield from _reason(f"Controller {controller.id}", controller.features.get(name, _DISABLED), level)

    def _elr_records(self) -> "list[Message]":
        """With ELR the default of min.insync.replicas must change everywhere at once: it is the cluster's, and no
        single broker's (ConfigurationControlManager.maybeGenerateElrSafetyRecords)."""
        records = []
        configs = self._image.configs
        if MIN_INSYNC_REPLICAS not in configs.broker(""):
            records.append(_config_record("", str(self._config.min_insync_replicas)))
        for (kind, name), overrides in configs.resources.items():
            if kind == BROKER_RESOURCE and name and MIN_INSYNC_REPLICAS in overrides:
                records.append(_config_record(name, None))
        return records


def _reason(who: str, supported: tuple[int, int], level: int) -> Iterator[str]:
    low, high = supported
    if low <= level <= high:
        return
    if supported == _DISABLED:
        yield f"{who} does not support this feature."
    else:
        yield f"{who} only supports versions {low}-{high}"


def _check_metadata_downgrade(current: int, level: int, *, is_unsafe: bool) -> None:
    changed = any(METADATA_VERSIONS[each].did_metadata_change for each in range(level + 1, current + 1))
    if not changed:
        return
    reason = (
        "Unsafe metadata downgrade is not supported in this version."
        if is_unsafe
        else "Refusing to perform the requested downgrade because it might delete metadata information."
    )
    raise KafkaError(
        ErrorCode.INVALID_UPDATE_VERSION,
        f"Unsupported {METADATA_VERSION} downgrade from {current} to {level}. {reason}",
    )


def _check_needs(name: str, level: int, proposed: Mapping[str, int]) -> None:
    feature = FEATURES.get(name)
    if feature is None:
        raise _invalid(name, level, f"Feature {name} not found.")
    needs = next((each.needs for each in feature.levels if each.level == level), {})
    for other, needed in needs.items():
        if proposed.get(other, 0) < needed:
            raise _invalid(
                name, level, f"{name} could not be set to {level} because it depends on {other} level {needed}"
            )


def _level_record(name: str, level: int) -> "Message":
    from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord

    return FeatureLevelRecord(name=name, feature_level=level)


def _config_record(broker: str, value: str | None) -> "Message":
    from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord

    return ConfigRecord(resource_type=BROKER_RESOURCE, resource_name=broker, name=MIN_INSYNC_REPLICAS, value=value)


def _invalid(name: str, level: int, reason: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_UPDATE_VERSION, f"Invalid update version {level} for feature {name}. {reason}")
