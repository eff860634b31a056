"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_end_txn import *  # noqa: F403
