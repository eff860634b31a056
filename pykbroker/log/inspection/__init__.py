"""Looks into the files of a data directory without touching them: for `pykbroker dump-log` and `pykbroker check-dir`.

Reading here is stricter than the broker's: it tells what is wrong and at which byte, and goes on behind it.
Nothing is loaded whole but index files and small text files, so memory does not grow with the data.

Kafka's counterparts: DumpLogSegments and the sanity checks of LogSegment, OffsetIndex, TimeIndex, TransactionIndex.
"""
