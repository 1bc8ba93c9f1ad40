"""The plot of a run: bars of operations per second, drawn as SVG."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from .operations import SECTION
from .results import Load, Results
from .servers import FLOOR, OURS, PEER, SERVED_ALIKE

COLOURS = {OURS: "#2b6cb0", PEER: "#c05621", FLOOR: "#a0aec0", SERVED_ALIKE: "#d5dbe3"}

_WIDTH = 760
_LABEL = 250
_BAR = 14
_GAP = 10
_TOP = 60
_ROOM = 90
"""Right of the bars, for the figures."""

_BESIDE = {
    "prepare-commit": ("prepare-commit", "two-calls"),
    "remote": ("prepare-commit", "three-calls"),
    "mounts-remote": ("mounts",),
}
"""What the others did in the turns of an operation of ours, where it is not the same."""


def plot(results: Results) -> str:
    """Draw the operations; every group of bars has a scale of its own.

    Args:
        results: What was measured; without operations the plot has only its legend.

    Returns:
        An SVG document.
    """
    shapes: list[str] = []
    y = _TOP
    for title, loads in _groups(results.loads):
        shapes.append(_text(10, y + _BAR, title, "bold"))
        most = max(load.rate for load in loads)
        for load in loads:
            length = (_WIDTH - _LABEL - _ROOM) * load.rate / most
            shapes.append(
                f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_BAR - 2}" '
                f'fill="{COLOURS.get(load.server, "#000000")}"/>'
            )
            figure = f"{load.rate:.0f}/s"
            if load.operation != loads[0].operation:
                figure += f" ({load.operation})"
            shapes.append(_text(_LABEL + length + 5, y + _BAR - 3, figure))
            y += _BAR
        y += _GAP
    height = y + _GAP
    legend = [
        f'<rect x="{10 + 230 * place}" y="32" width="12" height="12" fill="{colour}"/>'
        + _text(28 + 230 * place, 42, name)
        for place, (name, colour) in enumerate(COLOURS.items())
    ]
    size = f'width="{_WIDTH}" height="{height}"'
    font = 'font-family="sans-serif" font-size="11"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
            f'<rect {size} fill="#ffffff"/>',
            _text(10, 20, "Operations per second, each group with a scale of its own", "bold"),
            *legend,
            *shapes,
            "</svg>\n",
        ]
    )


def _groups(loads: Sequence[Load]) -> Iterator[tuple[str, list[Load]]]:
    chosen = [load for load in loads if load.section == SECTION]
    keys = dict.fromkeys(
        (load.operation, load.medium, load.callers) for load in chosen if load.server == OURS
    )
    for operation, medium, callers in keys:
        beside = _BESIDE.get(operation, (operation,))
        group = [
            load
            for load in chosen
            if (load.medium, load.callers) == (medium, callers)
            and load.operation in ((operation,) if load.server == OURS else beside)
        ]
        yield f"{operation}, {medium}, {callers} callers", group


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{escape(text)}</text>'
