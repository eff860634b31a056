"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_describe_topic_partitions import *  # noqa: F403
