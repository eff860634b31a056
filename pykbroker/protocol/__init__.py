"""Bytes ↔ messages: Kafka's wire protocol and everything Kafka keeps in its logs. Pure, no I/O.

messages/, persisted/, embedded/, apis.py, error_codes.py, enums.py, feature_levels.py, record_types.py and schemas.json
are generated from protocol_specs/ by `python -m tools.generate`; nobody edits them.
May import layer 0 only (errors, ids).
Kafka: org.apache.kafka.common.protocol, org.apache.kafka.message; KIP-482 (flexible versions, tagged fields).
"""
