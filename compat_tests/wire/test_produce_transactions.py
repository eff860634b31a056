"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_produce_transactions import *  # noqa: F403
