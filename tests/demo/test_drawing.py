"""The picture of a terminal."""

import re
from xml.etree import ElementTree as ET

from tests.demo.drawing import WIDTH, Shown, draw

SPACE = "{http://www.w3.org/2000/svg}"


def lines(text: str) -> list[str]:
    """Draw one output and give the lines of the picture, the command's first."""
    root = ET.fromstring(draw("title", [Shown("look", text)]))  # noqa: S314 - our own
    return ["".join(line.itertext()) for line in root.iter(f"{SPACE}text")]


def test_text_is_text() -> None:
    """What XML reads as its own comes out as it was; empty lines take their room only."""
    assert ["$ look", "<a> & 'b'", "c"] == lines("<a> & 'b'\n\nc\n")


def test_colours() -> None:
    """Green, yellow and bold are drawn so, and end where they end."""
    drawn = draw("title", [Shown("look", "\x1b[32mgreen\x1b[0m plain \x1b[1;33mboth\x1b[0m")])

    assert '<tspan fill="#7ee787">green</tspan>' in drawn
    assert '<tspan fill="#d0d7de"> plain </tspan>' in drawn
    assert '<tspan fill="#e3b341" font-weight="bold">both</tspan>' in drawn
    assert "\x1b" not in drawn


def test_the_width_is_kept() -> None:
    """A line that just fits stays whole; a longer one is cut, colours not counted."""
    fits = "x" * WIDTH
    assert fits in lines(fits)
    assert f"{'x' * (WIDTH - 1)}…" in lines(f"{fits}y")
    cut = lines(f"{'x' * (WIDTH - 2)}\x1b[32myyy\x1b[0mzzz")[1]
    assert f"{'x' * (WIDTH - 2)}y…" == cut


def test_nothing_from_elsewhere() -> None:
    """The picture refers to nothing, so that a page that shows it fetches nothing."""
    drawn = draw("title", [Shown("look", "text")])

    assert ["http://www.w3.org/2000/svg"] == re.findall(r"https?://[^\"]*", drawn)
    assert "<script" not in drawn
    assert "href" not in drawn
