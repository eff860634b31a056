"""Raw requests, no client: the dialogues of tests/handlers/broker over a socket."""

import pytest

pytest.register_assert_rewrite("tests.handlers.broker")
