"""Partitions as leader or follower: append, read, offsets, and who waits for them.

partition        leader state, high watermark, epoch checks of one partition            (kafka.cluster.Partition)
replica_manager  all partitions of this broker; follows the metadata image              (ReplicaManager)
produce_checks   what a Produce request must be before a log sees it                    (ProduceRequest.validateRecords)
transactional_produce, transaction_admission, verifications   the coordinator is asked before a first batch  (KIP-890)
transaction_markers  commit and abort markers                                           (ProducerAppendInfo)
delayed_produce  acks=all: who waits for which high watermark                           (DelayedProduce)
fetch_session    incremental fetch sessions                                             (FetchSessionCache, KIP-227)
fetch_read       one fetch: what to read of which partition within the limits           (ReplicaManager.readFromLog)
delayed_fetch    who waits for min.bytes of which partitions                            (DelayedFetch)
delayed_delete_records  who waits for which low watermark                               (DelayedDeleteRecords)
list_offsets     offsets by timestamp and by Kafka's special timestamps
With the first partition that has other replicas comes
replication      what all of them share: peers, throttles, fetchers, changes of ISRs
isr, follower_progress   who is in sync as the leader sees it, how far is committed      (PartitionState, Replica)
alter_partition  ISR changes on their way to the controller, isr_loop carries them      (AlterPartitionManager)
follower, fetch_session_handler, fetcher   one partition, one session, one leader followed  (ReplicaFetcherThread)
fetcher_manager  which fetcher follows which partition; fetcher_loop, replication_loop run them
replica_selector  reading from a near replica                                            (KIP-392)
replica_throttle, replication_quota   copying no faster than                              (KIP-73)

directory_move   which replicas move to which log directory, and what the controller does not know yet (KIP-113)
directory_loop   carries that out: copies in threads, assignments to the controller
producer_ids     producer ids from the controller's blocks                              (RPCProducerIdManager)

May import layers 0–2, Pending, and coordinator's PartitionWriter protocol, which ReplicaManager implements; of the
transaction coordinator its identities.
"""
