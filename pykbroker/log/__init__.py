"""One partition on disk, in exactly Kafka's files. Synchronous, no trio; imports layers 0 and 1 only.

Kafka's counterparts: org.apache.kafka.storage.internals.log (UnifiedLog, LogSegment, OffsetIndex, TimeIndex,
TransactionIndex, ProducerStateManager, LogValidator, LogLoader, LogManager, LogCleaner) and LeaderEpochFileCache.
Only the loops know trio: housekeeping_loop.py drives flushes, retention and checkpoints on their schedules,
cleaner_loop.py the cleaning of compacted logs (cleaning.py: its steps; cleaner.py: the work of its thread).
inspection/ looks into the files from outside, strictly and without touching them.
"""
