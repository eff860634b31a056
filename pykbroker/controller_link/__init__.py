"""What a broker says to its controller; the same interface near and far.

local            the embedded controller: a function call
auto_topic_creation  topics that clients or coordinators need                      (AutoTopicCreationManager)
streams_topics_loop  internal topics of streams groups, while their members go on (AutoTopicCreationManager)
lifecycle_loop   registration, unfencing, heartbeats, controlled shutdown          (BrokerLifecycleManager)

May import layers 0–3, and handlers/controller by name, when a request is forwarded.
"""
