"""Kafka Streams, unchanged, on both protocols: classic groups and streams groups (KIP-1071)."""
