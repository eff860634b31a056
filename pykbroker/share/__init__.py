"""Share partitions (KIP-932): who has which record at the moment, how often it was delivered, what is done with it.

in_flight            states of records: of a whole batch, or offset by offset
cached_state         the batches in flight, in order of their offsets
locks                acquisition locks and when they run out
share_partition      one share partition: life, offsets, what the persister is told
acquire              records given to a member
aborted              records of aborted transactions taken out of that (read_committed)
acknowledge          accept, release, reject, renew; what a member that leaves gives back; locks that ran out
fetched_records      record batches as they are read for a share fetch
share_session        share sessions
delayed_share_fetch  a share fetch that may wait
share_partition_manager  all share partitions of this broker, led here
share_loop           the tasks of all that
Kafka: kafka.server.share, org.apache.kafka.server.share. May import what a handler's helpers may: replica, coordinator.
"""
