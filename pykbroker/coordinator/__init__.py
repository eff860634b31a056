"""Replayable state machines on internal topics: decide → records → append → replay → answer at commit.

What a coordinator must ask other brokers waits in a `broker_queue` (transaction/marker_queue, add_partitions_manager,
share/share_state_queue, group/latest_offsets); `other_brokers_loop` sends, made when the first one is needed.
Layer 3: imports layers 0–2; writes logs by the PartitionWriter protocol only. Trio: the files `*_loop.py` alone.
Kafka: CoordinatorRuntime, CoordinatorShard, TimelineHashMap. KIP-848 introduced the shape.
"""
