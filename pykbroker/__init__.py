"""pykbroker: a broker that speaks Apache Kafka's protocol, on one Trio event loop.

The map, from the wire to the disk (see README for the same in a picture):

network       connections, frames, responses; where trio lives
dispatch      (listener, api key, version) → decode, handler, encode
handlers      one file per API
replica       partitions as leader or follower, waiting fetches and produces
coordinator   groups: replayable state machines on internal topics
controller    decisions on the cluster's metadata, as records
raft          the metadata log
metadata      the cluster as an immutable value, replayed from records
log           one partition on disk, in exactly Kafka's files
record        the record batch format
protocol      bytes ↔ messages, generated from protocol_specs/
config        Kafka's config names, types and levels
"""

__version__ = "0.1.0"
