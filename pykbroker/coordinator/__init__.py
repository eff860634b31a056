"""Replayable state machines on internal topics: decide → records → append → replay → answer at commit.

Layer 3: imports layers 0–2; writes logs by the PartitionWriter protocol only. Trio: the files `*_loop.py` alone.
Kafka: CoordinatorRuntime, CoordinatorShard, TimelineHashMap. KIP-848 introduced the shape.
"""
