"""Nobody is locked in: one data directory, served by pykbroker and by the real Kafka in turn.

served     what a broker serves of its topics, groups and transactions, in the form of the golden manifests
handover   either broker on the same directory
workload   what a directory must hold to be worth handing over
"""
