"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_remove_raft_voter import *  # noqa: F403
