"""What a new leader writes before anything else (ActivationRecordsGenerator, KIP-868)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pykbroker.ids import Endpoint, Uuid
from pykbroker.metadata.features import INITIAL_FEATURES, allows_transactions
from pykbroker.metadata.image import BROKER_RESOURCE, METADATA_VERSION
from pykbroker.metadata.registration import security_protocol_number

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message


def bootstrap_records(features: "Sequence[Message] | None", min_insync_replicas: int) -> "list[Message]":
    """For an empty log: `features` from the bootstrap snapshot, or the features of a fresh cluster, as one transaction.

    With ELR finalized min.insync.replicas becomes a dynamic default of the cluster: it changes everywhere at once
    (KIP-966).
    """
    from pykbroker.protocol.persisted.metadata.begin_transaction_record import BeginTransactionRecord
    from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
    from pykbroker.protocol.persisted.metadata.end_transaction_record import EndTransactionRecord
    from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord

    if features is None:
        features = [FeatureLevelRecord(name=name, feature_level=level) for name, level in INITIAL_FEATURES.items()]
    levels = {record.name: record.feature_level for record in features if isinstance(record, FeatureLevelRecord)}
    records: list[Message] = list(features)
    if levels.get("eligible.leader.replicas.version"):
        records.append(
            ConfigRecord(
                resource_type=BROKER_RESOURCE,
                resource_name="",
                name="min.insync.replicas",
                value=str(min_insync_replicas),
            )
        )
    if not allows_transactions(levels.get(METADATA_VERSION, 0)):
        return records
    return [BeginTransactionRecord(name="Bootstrap records"), *records, EndTransactionRecord()]


def abort_transaction() -> "Message":
    """Ends a transaction that the leader before did not finish."""
    from pykbroker.protocol.persisted.metadata.abort_transaction_record import AbortTransactionRecord

    return AbortTransactionRecord(reason="Controller failover")


def controller_registration(
    node_id: int, incarnation_id: Uuid, endpoints: Sequence[Endpoint], features: Mapping[str, tuple[int, int]]
) -> "Message":
    """KIP-919: which controller runs, with what it supports."""
    from pykbroker.protocol.persisted.metadata.register_controller_record import (
        ControllerEndpoint,
        ControllerFeature,
        RegisterControllerRecord,
    )

    return RegisterControllerRecord(
        controller_id=node_id,
        incarnation_id=incarnation_id,
        end_points=[
            ControllerEndpoint(
                name=e.listener,
                host=e.host,
                port=e.port,
                security_protocol=security_protocol_number(e.security_protocol),
            )
            for e in endpoints
        ],
        features=[
            ControllerFeature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in features.items()
        ],
    )
