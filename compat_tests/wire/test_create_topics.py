"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_create_topics import *  # noqa: F403
