"""What the broker tells people and machines about itself: log lines, counters, stalls of the loop.

log_setup   human and JSON lines, one per event; no payloads, no secrets
metrics     plain counters, incremented on the hot path
slow        reports of what held the loop for too long
May import layers 0–3. Kafka: kafka.metrics, org.apache.kafka.server.metrics.
"""
