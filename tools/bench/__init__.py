"""The same client load against pykbroker and the real Kafka 4.3.1, alternating in one run: figures and their ratio."""
