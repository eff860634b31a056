"""For all tests: invariants are checked (pykbroker.verify), in this process and in those it starts."""

import os

os.environ.setdefault("PYKBROKER_VERIFY", "1")
