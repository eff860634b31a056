"""Groups and their committed offsets, one shard per partition of `__consumer_offsets`.

`classic*.py` are the groups whose members assign, `consumer*.py` those of KIP-848, whose partitions the broker assigns
(`assignor_*.py`, `target_assignment.py`, `reconciliation.py`); `consumer_migration.py` leads from one to the other.
`share*.py` are share groups (KIP-932): `share.py` membership, `share_initialization.py` which partitions the share
coordinator must know, `share_offsets.py` administrators, `share_service.py` between shards and persister,
`latest_offsets.py` the ends of partitions led elsewhere.
Kafka: GroupCoordinatorService, GroupCoordinatorShard, GroupMetadataManager, ClassicGroup, ConsumerGroup,
CurrentAssignmentBuilder, TargetAssignmentBuilder, OffsetMetadataManager.
KIP-345 (static members), 394 (member id required), 447 (stable offsets), 709 (several groups), 814, 848, 1251, 1263.
"""
