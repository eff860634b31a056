"""The record batch format: bytes ↔ batches and records. Pure; imports errors, ids and protocol only.

Kafka's counterparts: org.apache.kafka.common.record (DefaultRecordBatch, DefaultRecord, MemoryRecordsBuilder,
AbstractLegacyRecordBatch, CompressionType), KIP-98 for the format, KIP-110 for zstd.
"""
