"""python -m pykbroker: the same as the command pykbroker."""

import sys

from pykbroker.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
