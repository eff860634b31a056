"""Clusters of several processes, ours and Kafka's beside each other.

nodes       controllers and brokers of either kind, each from a server.properties of its own
real_nodes  Kafka's controller and brokers around a broker of ours
mixed       a cluster of both kinds under a controller of either, and Kafka's tools on it; mixed_runs: random events
namespaces  a network between nodes that loses packets, or is slow (slow_link)
cuts        what then happens to a cluster; cut_runs: random losses
replicas    copies of a partition on disk, batch by batch
admin       what the cluster says of itself: brokers, partitions, quorum
"""
