"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_describe_transactions import *  # noqa: F403
