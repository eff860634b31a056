"""Mutations of decoded messages: well-formed requests that say what no client would, so that handlers are reached."""

import copy
import random
from collections.abc import Iterator
from typing import Any

from pykbroker.ids import Uuid
from pykbroker.protocol.message import Message, Struct

NUMBERS = [0, 1, -1, 2, 3, 5, 100, 1000, 10_001, 127, 128, 255, 32767, -32768, 65536, 2**31 - 1, -(2**31), 2**40]
NUMBERS += [2**63 - 1, -(2**63)]
LONG = ("a" * 249, "a" * 250, "a" * 32767)
ODD = ("", ".", "..", "../../etc/passwd", "\0", "\n\r", "ü\U0001f600", "%s%n{}", "NaN", "1", "-1")
KNOWN = ("__consumer_offsets", "__cluster_metadata", "doomed", "topic_a", "topic.a", "group", "consumer", "range")
CONFIGS = ("cleanup.policy", "retention.ms", "compact", "min.insync.replicas", "log.dirs", "compression.type")
TEXTS: list[str | None] = [None, *LONG, *ODD, *KNOWN, *CONFIGS]
REPEATS = (2, 2, 2, 10, 300)


class FieldMutator:
    """Changes a few fields of a copy, wherever they are nested."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self._may_repeat = True  # once in a message: what is nested would multiply

    def mutate(self, message: Message) -> Message:
        changed = copy.deepcopy(message)
        self._may_repeat = True
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 3))):
            self._change(*self._random.choice(list(places(changed))))
        return changed

    def _change(self, struct: Struct, field: str) -> None:
        value = getattr(struct, field)
        setattr(struct, field, self._other(value, field))

    def _other(self, value: Any, field: str) -> Any:
        pick = self._random.choice
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return pick((pick(NUMBERS), value + 1, value - 1))
        if isinstance(value, float):
            return pick((float("nan"), float("inf"), -0.0))
        if isinstance(value, Uuid):
            return pick((Uuid(16), Uuid.random()))
        if isinstance(value, str) or (value is None and "name" in field):
            return pick(TEXTS)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return pick((None, b"", bytes(value)[: self._random.randrange(len(value) + 1)], bytes(value) * 3))
        return None

    def _list(self, values: list[Any]) -> list[Any] | None:
        if not values:
            return self._random.choice(([], None))
        way = self._random.randrange(6)
        if way == 0:
            return None
        if way == 1:
            return []
        if way == 2 and not isinstance(values[0], Struct):
            return [self._other(one, "") for one in values]
        if not self._may_repeat:
            return values[:1]
        self._may_repeat = False
        return values * self._random.choice(REPEATS)


def places(struct: Struct) -> Iterator[tuple[Struct, str]]:
    """Every field of a message and of the structs in it (of long lists: the first few)."""
    for each in type(struct).__mro__:
        for field in getattr(each, "__slots__", ()):
            if field == "unknown_tags":
                continue
            value = getattr(struct, field)
            yield struct, field
            for nested in (value if isinstance(value, list) else [value])[:4]:
                if isinstance(nested, Struct):
                    yield from places(nested)
