"""The cluster's decisions: (image, request, now) → records and response; the image is replayed from the records.

controller           Controller: replay → append → publish → answer, serialised; handlers/controller/ talk to it
controller_loop      makes appends durable and completes them; fences on deadline; periodic snapshots
result               ControllerResult
cluster_control      registration, fencing, controlled shutdown                (ClusterControlManager)
broker_heartbeats    who was heard when: soft state, sessions, next_deadline() (BrokerHeartbeatManager)
topic_control        create and delete topics                                  (ReplicationControlManager, split)
partition_control    add partitions
new_partitions       their replicas, leader and ISR, placed by hand or by
replica_placement    where new partitions go                                   (StripedReplicaPlacer)
leader_election      leader, ISR and ELR after a change                        (PartitionChangeBuilder, KIP-966)
election_rules       by which rules a topic elects
elections            elections that an operator asks for                       (KIP-460)
periodic_elections   and those that nobody asks for                            (PeriodicTaskControlManager)
alter_partition      ISR changes that leaders ask for                          (KIP-497)
reassignment         other replicas for a partition                            (KIP-455)
feature_control      feature levels                                            (FeatureControlManager)
directory_control    which log directory a replica lies in                    (KIP-858)
configuration_control  dynamic configs                                         (ConfigurationControlManager)
producer_id_control  blocks of producer ids                                    (ProducerIdControlManager)
activation           what a new leader writes first                            (ActivationRecordsGenerator)

May import layers 0–2, raft, request and pending; trio only in controller_loop.

How shared_server.py, controller_server.py and broker.py compose it:
    logs.open(node_id=…, …)                       # LogManager: directories made, formatted, locked
    log = open_metadata_log(directory, files=logs.files, clock=clock, config=config)       # pykbroker.raft.opening
    publisher = MetadataPublisher(cluster_id)     # pykbroker.metadata.publisher; publisher.image is Services.image
    controller = Controller(node_id=…, cluster_id=…, config=…, clock=…, log=log, publisher=publisher,
                            directory_id=logs.directories[0].id)
    controller.start()                            # synchronous: load, lead, activate; publisher.image is complete
    await nursery.start(ControllerLoop(controller).run)
    link = LocalControllerLink(controller, node_id)       # pykbroker.controller_link.local; Services.controller
    lifecycle = LifecycleLoop(link=link, config=…, image=lambda: publisher.image, node_id=…, cluster_id=…,
                              incarnation_id=Uuid.random(), directory_ids=logs.directory_ids, endpoints=[…],
                              rack=…, previous_epoch=logs.previous_broker_epoch())
    …load logs…
    broker_epoch = await lifecycle.register()     # the broker is registered, fenced
    await lifecycle.catch_up()                    # the image knows that
    publisher.subscribe(replicas); …subscribe(coordinators); …subscribe(dynamic_config)
    await lifecycle.unfence()                     # partitions get their leaders; serve
    nursery.start_soon(lifecycle.run)             # heartbeats
    …
    await lifecycle.controlled_shutdown()         # nothing is led here any more, the broker is fenced
    logs.shutdown(broker_epoch); cancel the loops; controller.close()          # log.close() where start() failed

A controller handler (handlers/controller/<api>.py):
    async def handle(controller: Controller, ctx: RequestContext, request: XRequest) -> XResponse:
        return await controller.execute(lambda image: decide(image, request, …))       # decide returns ControllerResult

`image` there is the newest one, including what is not yet durable; records are plain messages, their versions follow
metadata.version. A decision that raises KafkaError leaves nothing behind.
"""
