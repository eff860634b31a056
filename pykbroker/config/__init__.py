"""Kafka's config names, types, validators and levels.

Purpose: every config of Kafka 4.3.1 as a typed attribute (BrokerConfig, TopicConfig, GroupConfig), the sources they
come from (file, environment, --set, the metadata image) and what DescribeConfigs says of them.
May import: layers 0 and 1, metadata (the image). No trio.
Kafka: ConfigDef, AbstractKafkaConfig, LogConfig, GroupConfig, DynamicBrokerConfig, ConfigHelper; KIP-226, KIP-339.

definitions, documentation, broker_config and topic_config are generated from protocol_specs/config.
"""
