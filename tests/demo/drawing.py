"""A picture of what a terminal showed, as SVG that needs nothing from elsewhere."""

import re
from collections.abc import Iterator, Sequence
from html import escape

import attrs

WIDTH = 112
"""Columns; what stands further to the right is cut off, with an ellipsis."""

COLUMN, ROW, EDGE, SIZE = 7.83, 19, 18, 13

COLOURS = {"32": "#7ee787", "33": "#e3b341", "31": "#ff7b72"}
PLAIN, PROMPT, GROUND = "#d0d7de", "#79c0ff", "#161b22"

_GRAPHIC = re.compile(r"\x1b\[([0-9;]*)m")


@attrs.frozen
class Shown:
    """A command and what it showed.

    Attributes:
        command: as it would be typed.
        text: with the terminal's sequences for colours.
    """

    command: str
    text: str


def draw(title: str, shown: Sequence[Shown]) -> str:
    """Draw commands one below the other.

    Args:
        title: what the picture shows, for those who do not see it.
        shown: the commands.

    Returns:
        The SVG.
    """
    lines = list(_lines(shown))
    width = round(WIDTH * COLUMN + 2 * EDGE)
    height = len(lines) * ROW + 2 * EDGE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f" font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\""
        f' font-size="{SIZE}">'
    )
    texts = [
        f'  <text x="{EDGE}" y="{EDGE + ROW * number + SIZE}" xml:space="preserve">{line}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    ground = f'  <rect width="{width}" height="{height}" rx="10" fill="{GROUND}"/>'
    return "\n".join((head, f"  <title>{escape(title)}</title>", ground, *texts, "</svg>", ""))


def _lines(shown: Sequence[Shown]) -> Iterator[str]:
    for number, one in enumerate(shown):
        if number:
            yield ""
        yield _span("$ ", PROMPT) + _span(one.command, PLAIN, bold=True)
        for line in one.text.splitlines():
            yield "".join(_spans(line))


def _spans(line: str) -> Iterator[str]:
    """Give a line with its colours, cut to the width."""
    left = WIDTH
    colour, bold = PLAIN, False
    whole = len(_GRAPHIC.sub("", line)) <= WIDTH
    for number, part in enumerate(_GRAPHIC.split(line)):
        if number % 2:
            codes = part.split(";")
            bold = "1" in codes
            colour = next((COLOURS[code] for code in codes if code in COLOURS), PLAIN)
            continue
        text = part if whole else part[: left - 1]
        left -= len(part)
        if text:
            yield _span(text, colour, bold=bold)
        if not whole and left <= 1:
            yield _span("…", PLAIN)
            return


def _span(text: str, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<tspan fill="{colour}"{weight}>{escape(text, quote=False)}</tspan>'
