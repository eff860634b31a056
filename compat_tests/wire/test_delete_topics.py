"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_delete_topics import *  # noqa: F403
