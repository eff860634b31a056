"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_describe_producers import *  # noqa: F403
