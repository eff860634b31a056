"""The share coordinator: state of all share partitions, kept in `__share_group_state`.

persister            what share groups and share partitions ask of it, here or on another broker
share_state_router   the broker that keeps the state of a partition; share_state_queue what waits for other brokers
service              share partition → shard; requests of many partitions taken apart, answers put together
Kafka: org.apache.kafka.coordinator.share, org.apache.kafka.server.share.persister. KIP-932, 1226.
"""
