"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_txn_offset_commit import *  # noqa: F403
