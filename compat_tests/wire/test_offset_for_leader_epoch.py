"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_offset_for_leader_epoch import *  # noqa: F403
