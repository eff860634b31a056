"""What a broker says to its controller; the same interface near and far.

local            the embedded controller: a function call
remote_loop      a controller elsewhere: envelopes, own requests, again when it moves (NodeToControllerChannelManager)
cluster_id_loop  which cluster a node with empty directories joins                 (KIP-919)
auto_topic_creation  topics that clients or coordinators need                      (AutoTopicCreationManager)
streams_topics_loop  internal topics of streams groups, while their members go on (AutoTopicCreationManager)
lifecycle_loop   registration, unfencing, heartbeats, controlled shutdown          (BrokerLifecycleManager)

May import layers 0–3, and handlers/controller by name, when a request is forwarded.
"""
