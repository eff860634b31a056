"""One partition on disk, in exactly Kafka's files. Synchronous, no trio; imports layers 0 and 1 only.

Kafka's counterparts: org.apache.kafka.storage.internals.log (UnifiedLog, LogSegment, OffsetIndex, TimeIndex,
TransactionIndex, ProducerStateManager, LogValidator, LogLoader, LogManager) and LeaderEpochFileCache.
Only housekeeping_loop.py knows trio: it drives flushes, retention and checkpoints on their schedules.
inspection/ looks into the files from outside, strictly and without touching them.
"""
