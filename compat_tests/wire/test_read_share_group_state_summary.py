"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_read_share_group_state_summary import *  # noqa: F403
