"""Groups and their committed offsets, one shard per partition of `__consumer_offsets`.

Kafka: GroupCoordinatorService, GroupCoordinatorShard, GroupMetadataManager, ClassicGroup, OffsetMetadataManager.
KIP-345 (static members), 394 (member id required), 447 (stable offsets), 709 (several groups), 814, 848.
"""
