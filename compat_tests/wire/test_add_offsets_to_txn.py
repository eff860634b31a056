"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_add_offsets_to_txn import *  # noqa: F403
