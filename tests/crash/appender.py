"""A process that appends to a log until it is killed, and says on standard output what it was promised.

`python -m tests.crash.appender DIRECTORY SEED`: every record's value is its offset. One line for each append: the
offset behind it, written once the append has returned.
"""

import os
import sys
from pathlib import Path
from random import Random
from typing import Any

from pykbroker.record.builder import build_batch
from tests.log.logs import NOW, open_log

PRODUCER_ID = 7
CONFIG: dict[str, Any] = {
    "segment_bytes": 4000,
    "index_interval_bytes": 300,
    "segment_index_bytes": 120,
    "retention_ms": -1,
}


def main() -> None:
    random = Random(int(sys.argv[2]))
    log = open_log(Path(sys.argv[1]), clean=False, **CONFIG)
    while True:
        offset = log.log_end_offset
        count = random.randint(1, 5)
        padding = [(f"{number}", b"x" * random.randint(0, 100)) for number in range(offset, offset + count)]
        records = [(None, number.encode(), [("padding", rest)], NOW + int(number)) for number, rest in padding]
        # A producer's sequence goes on behind each crash: what was lost of its state would be refused.
        batch = build_batch(records, producer_id=PRODUCER_ID, producer_epoch=0, base_sequence=offset)
        info = log.append_as_leader(batch, 0, NOW)
        log.update_high_watermark(log.log_end_offset)
        os.write(1, f"{info.last_offset + 1}\n".encode())


if __name__ == "__main__":
    main()
