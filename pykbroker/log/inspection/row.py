"""A line of a dump: what a person or a script reads of one batch, record, entry or piece of damage."""

from typing import Any, NamedTuple

Row = dict[str, Any]
DAMAGE = "damage"


class DumpOptions(NamedTuple):
    """`records`: show the records of segments; None: only those that are decoded by name. `offset`: from the batch or
    entry that holds it. `maximum`: of batches or entries a file."""

    records: bool | None = None
    offset: int = 0
    maximum: int | None = None


def damage(position: int, message: str, **fields: Any) -> Row:
    return {"row": DAMAGE, "position": position, **fields, "message": message}
