"""The metadata log: __cluster_metadata-0, its epochs, its snapshots.

opening        the log of a directory, formatted where it is new                (KafkaMetadataLog.createLog)
metadata_log   batches of metadata records on top of log/; one append = one atomic batch
quorum_state   the quorum-state file                                            (FileQuorumStateStore)
single_voter   leader of a quorum of one                                        (KafkaRaftClient, for one voter)
leader_state   who follows that leader and how far, who waits for a commit     (LeaderState)
metadata_fetch, snapshot_fetch  what followers are answered                    (KafkaRaftClient)
other_voters   what strangers are answered who want to vote
observer       follower of a quorum elsewhere as a state machine: find the leader, fetch, diverge, snapshot
observer_log   its log: the leader's batches as they came, of which those below the high watermark count
metadata_loader  from committed batches to published images                     (MetadataLoader)
snapshot_generator  when an observer snapshots its image                        (SnapshotGenerator)
image_snapshot  the image as a snapshot, the work of it for a thread         (SnapshotGenerator)
observer_loop  its sockets
snapshot       *.checkpoint files                                               (FileRawSnapshotWriter)
control        control batches of the metadata log
dynamic_voters  voters as kafka-storage and VotersRecord write them            (DynamicVoters, VoterSet)
formatting     what kafka-storage format writes into an empty directory         (Formatter)
inspection/    checks and shows what lies in data directories, the metadata log first

May import layers 0–2 and pending. Kafka: org.apache.kafka.raft, org.apache.kafka.snapshot; KIP-595, KIP-630, KIP-853.
"""
