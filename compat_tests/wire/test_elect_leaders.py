"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_elect_leaders import *  # noqa: F403
