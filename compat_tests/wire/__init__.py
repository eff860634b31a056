"""Raw requests, no client: the dialogues of tests/handlers/broker over a socket."""

import sys

import pytest

if "tests.handlers.broker" not in sys.modules:  # too late, when tests/ runs in the same process
    pytest.register_assert_rewrite("tests.handlers.broker")
