"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_initialize_share_group_state import *  # noqa: F403
