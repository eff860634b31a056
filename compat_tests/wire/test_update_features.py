"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_update_features import *  # noqa: F403
