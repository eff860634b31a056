"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_unregister_broker import *  # noqa: F403
