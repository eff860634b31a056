"""The cluster as an immutable value, replayed from Kafka's metadata records. Pure.

image              MetadataImage and its parts; frozen, shared between versions wherever nothing changed
topics             TopicsImage, TopicImage, PartitionImage; copy_on_write: what versions share
delta              MetadataDelta: replay(record) × 26 types, apply() → the next image; what changed
partition_change, registration   records of partitions and brokers → their parts of the image
local_changes      what a delta means for the replicas of one broker
features           metadata.version and what each level allows; the version in which each record is written
initial_features   which levels a fresh cluster begins with                         (Formatter, KIP-1022)
topic_names        which are legal, which collide, which are Kafka's own
snapshot_records   image → records, nothing lost
publisher          order in which the parts of the broker learn of a new image

May import layers 0–1. Kafka: org.apache.kafka.image, org.apache.kafka.metadata; KIP-500, KIP-631,
KIP-868 (transactions), KIP-966 (ELR).

In short:
    image = MetadataImage.empty(cluster_id)
    delta = MetadataDelta(image)
    delta.replay(record)                      # a message of protocol.persisted.metadata; raises ReplayError
    image = delta.apply(offset, epoch)        # once; the next records go into a new delta
    changes = local_changes(delta, delta.base, image, node_id)
"""
