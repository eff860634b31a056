"""Mutation fuzzers over the golden frames of the real Kafka: decoders, the whole broker, what lies on disk.

    python -m tools.fuzz decoders|records|broker|disk [--seed 1] [--inputs 10000] [--memory 512]

Each finding is printed as one JSON line with its input; exit code 1 when there is one. A seed finds the same again.
corpus (what is mutated) → mutate (how, by seed) → a target (what it is given to, what must hold).
"""
