"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_describe_quorum import *  # noqa: F403
