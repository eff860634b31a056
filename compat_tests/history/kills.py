"""SIGKILL in the middle of commits, rebalances and transactions, under an exactly-once pipeline of two workers.

`python -m compat_tests.history.kills [--kills 100] [--seed N]`. The source is fed all the while; workers leave and come
back, so that the group rebalances; in the end every value was processed once, and the whole history is checked.
"""

import argparse
import faulthandler
import tempfile
import time
from pathlib import Path
from random import Random

from compat_tests.brokers import PykbrokerProcess, pykbroker
from compat_tests.history.checker import Facts
from compat_tests.history.clients import Feeder
from compat_tests.history.events import Sent, Transaction
from compat_tests.history.runs import SETTINGS, Run, verify

PATIENCE = 120  # seconds in which something must be committed


def run(folder: Path, kills: int, seed: int, quiet: bool = True) -> Run:
    """Raises AssertionError with what was lost, doubled or out of order."""
    random = Random(f"kills {seed}")
    with pykbroker(folder / "data", *SETTINGS) as broker:
        one = Run(broker.bootstrap, str(seed), f"kills-{seed}")
        feeder = one.add(Feeder, "feeder")
        assert isinstance(feeder, Feeder)
        feeder.pause = 0.2  # the pipeline keeps up, so that kills meet it at work and in rest
        one.add_pipeline(2)
        one.add_group("member", 2)
        one.start()
        for number in range(kills):
            kill_once(one, broker, random)
            if not quiet:
                print(f"kill {number + 1}: {one.committed()} transactions committed", flush=True)
        feeder.ends.set()
        feeder.stop()
        await_all(one)
        one.stop()
        verify(one)
        check_complete(one)
    return one


def check_complete(one: Run) -> None:
    """The checker has seen that nothing was processed twice; here that everything was."""
    facts = Facts(one.history.events)
    written = {value for value in facts.seen_committed if value.startswith("feeder")}
    done = {record.value for txn in facts.transactions if facts.is_committed(txn) for record in txn.polled}
    assert written == done, f"seed {one.seed}: {len(written - done)} of {len(written)} not processed"
    assert written


def kill_once(one: Run, broker: PykbrokerProcess, random: Random) -> None:
    """Some while clients come back and groups rebalance, most in the middle of the transactions."""
    if random.random() < 0.7:
        await_transaction(one)
    time.sleep(random.uniform(0, 0.4))
    broker.kill()
    broker.start()


def await_transaction(one: Run) -> None:
    """Until the next one is committed."""
    deadline = time.monotonic() + PATIENCE
    before = one.committed()
    while one.committed() == before:
        if time.monotonic() > deadline:
            faulthandler.dump_traceback()  # where the workers are
            raise AssertionError(f"seed {one.seed}: nothing is committed any more")
        time.sleep(0.05)


def processed(one: Run) -> int:
    """Records in transactions that are committed for sure."""
    return sum(
        len(event.polled)
        for event in list(one.history.events)
        if isinstance(event, Transaction) and event.outcome.value == "ok"
    )


def await_all(one: Run) -> None:
    """Until all is processed, or nothing new is for some seconds: some records may never have been written, of some
    commits the answer may be lost. What is missing, check_complete sees."""
    sent = sum(isinstance(event, Sent) for event in list(one.history.events))
    before, since = -1, time.monotonic()
    while before < sent and (time.monotonic() - since < 8 or not before):
        if (now := processed(one)) != before:
            before, since = now, time.monotonic()
        assert time.monotonic() - since < PATIENCE, f"seed {one.seed}: nothing is processed"
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pykbroker-kills-", ignore_cleanup_errors=True) as folder:
        one = run(Path(folder), arguments.kills, arguments.seed, quiet=False)
    print(f"{arguments.kills} kills: {one.figures()}")


if __name__ == "__main__":
    main()
