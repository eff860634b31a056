"""The transaction coordinator: all transactional ids of `__transaction_state`, their states, the markers that end them.

transaction_metadata one transactional id and the table of its transitions   init_producer_id, end_transaction decisions
transaction_shard    one partition of the topic: replay, timers              transaction_records   state ↔ records
service              transactional id → shard; errors common to all APIs     marker_loop, marker_writer   commit, abort
marker_router        the leader of a partition; marker_queue what waits for other brokers
add_partitions_manager   verification of transactions that other brokers coordinate (KIP-890)
Kafka: org.apache.kafka.coordinator.transaction, kafka.coordinator.transaction. KIP-98, 360, 447, 588, 664, 890, 1228.
"""
