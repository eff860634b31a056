"""Kafka's config names, types, validators and levels.

Purpose: every config of Kafka 4.3.1 as a typed attribute (BrokerConfig, TopicConfig, GroupConfig), the sources they
come from (file, environment, --set, the metadata image) and what DescribeConfigs says of them.
May import: layers 0 and 1, metadata (the image). No trio.
Kafka: ConfigDef, AbstractKafkaConfig, LogConfig, GroupConfig, DynamicBrokerConfig, ConfigHelper, ConfigAdminManager;
KIP-226, KIP-339, KIP-1161.

definitions, documentation, broker_config and topic_config are generated from protocol_specs/config.
types, values and levels turn texts into typed values. parse (properties, environment, known_names) reads what the node
is started with; validate, listeners and quorum check it. dynamic lays the configs of the image over it; describe tells
where each value comes from; admin, broker_updates, validate_group and loggers judge the changes that clients ask for.
"""
