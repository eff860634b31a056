"""The same client load against pykbroker and the real Kafka, alternating in one run: figures and their ratio.

suites     what is measured, against which target
restarts   start, recovery and memory with many partitions
loads      the client loads: raw sockets for the broker's CPU, confluent-kafka for throughput
wire       request frames, encoded before the clock starts, and the few fields of their answers
processes  either broker as a process: start, stop, CPU time, memory
"""
