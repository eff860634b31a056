"""The medians of both brokers, their ratio, and whether the target is reached."""

import statistics
from collections.abc import Mapping, Sequence

Results = Mapping[str, Mapping[str, Sequence[float]]]  # broker → figure → a value per counted round


def table(results: Results, targets: Mapping[str, str]) -> str:
    """The first broker is ours; the ratio is ours to the second's, where there is one."""
    names = list(results)
    lines = [
        f"{'median of the counted rounds':46}" + "".join(f"{name:>13}" for name in names) + f"{'ratio':>8}  target"
    ]
    for figure in results[names[0]]:
        medians = [statistics.median(results[name][figure]) for name in names]
        ratio = medians[0] / medians[1] if len(medians) > 1 and medians[1] else None
        target = targets.get(figure, "")
        lines.append(
            f"{figure:46}"
            + "".join(f"{value:13.3g}" if value < 1000 else f"{value:13,.0f}" for value in medians)
            + (f"{ratio:8.2f}" if ratio is not None else " " * 8)
            + (f"  {target:9} {verdict(target, medians[0], ratio)}" if target else "")
        )
    return "\n".join(lines)


def verdict(target: str, ours: float, ratio: float | None) -> str:
    """ "reached" or "missed"; a target with a unit is about our own figure."""
    sign, limit, *unit = target.split()
    value = ours if unit else ratio
    if value is None:
        return ""
    return "reached" if (value <= float(limit) if sign == "≤" else value >= float(limit)) else "missed"
