"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_list_offsets import *  # noqa: F403
