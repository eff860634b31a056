"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_write_txn_markers import *  # noqa: F403
