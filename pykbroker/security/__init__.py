"""Who a client is, proven. Pure.

scram              keys of SCRAM credentials (RFC 5802)
scram_arguments    credentials as `format --add-scram` takes them

May import protocol, record, metadata. Kafka: org.apache.kafka.common.security.scram.
"""
