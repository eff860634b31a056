"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_list_transactions import *  # noqa: F403
