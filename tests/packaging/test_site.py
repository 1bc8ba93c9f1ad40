"""The documentation as a site: it builds without a warning, and needs nothing from elsewhere."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.harness.parts import ROOT

LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
"""What a browser fetches by itself, and by which attribute."""

# A link to the place of this page elsewhere is not fetched.
NOT_FETCHED = {"canonical"}


class Page(HTMLParser):
    """What one page loads, and where one can jump to on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element loads, and its name."""
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        if tag in LOADS and found.get("rel") not in NOT_FETCHED:
            self.loads.append(found.get(LOADS[tag]) or "")


def build(configuration: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site. With `--quiet` warnings would not count."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "mkdocs", "build", "--strict"),
            *("--config-file", str(configuration), "--site-dir", str(site)),
        ],
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages."""
    directory = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", directory)
    assert 0 == built.returncode, built.stdout + built.stderr
    return directory


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """The pages, read, by the names of their files."""
    return {file.name: Page(file.read_text()) for file in site.glob("*.html")}


def test_every_page_is_there(pages: dict[str, Page]) -> None:
    """One for each file of docs/; that each is in the navigation, the strict build checks."""
    expected = {f"{file.stem}.html" for file in (ROOT / "docs").glob("*.md")}

    assert expected | {"404.html"} == set(pages)


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    """No page loads a script, style, font or picture from another host; nor does a style."""
    # The page for what is not found is shown at any depth: its paths begin at the top.
    loads = {load.removeprefix("/") for page in pages.values() for load in page.loads}
    styles = "".join(file.read_text() for file in site.rglob("*.css"))

    assert len(loads) > 5
    assert [] == [load for load in loads if not (site / load.partition("?")[0]).exists()]
    assert [] == sorted(load for load in loads if re.match(r"\w+:|/", load))
    assert [] == re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)'\"]*", styles)


@pytest.mark.parametrize("word", ["whiteouts", "lookup_deadline", "CvmfsSnapshotterDown", "k3s"])
def test_the_search_knows(site: Path, word: str) -> None:
    """The index of the search lies beside the pages and has what readers look for."""
    index = json.loads((site / "search" / "search_index.json").read_text())

    assert word in " ".join(entry["title"] + entry["text"] for entry in index["docs"])


def test_each_alert_has_its_runbook(pages: dict[str, Page]) -> None:
    """The section that each alert names is a heading of the built page."""
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text()
    runbooks = [
        name.lower()
        for name in re.findall(r"runbook: 'Section (\w+) of docs/operations\.md", rules)
    ]

    assert len(runbooks) == rules.count("- alert:") > 10
    assert set(runbooks) <= pages["operations.html"].anchors


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_from_the_top(pages: dict[str, Page], name: str) -> None:
    """What stands above docs/ and links into it is not built: its links are looked at here."""
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())
    own = [link for link in links if not link.startswith("https://")]

    for link in own:
        file, _, anchor = link.partition("#")
        assert (ROOT / file).exists(), link
        if anchor:
            assert anchor in pages[f"{Path(file).stem}.html"].anchors, link
    assert name != "README.md" or len(own) > 10


@pytest.mark.parametrize(
    "text",
    ["[to nowhere](nowhere.md)", "[to no heading](index.md#no-such-heading)"],
    ids=["page", "heading"],
)
def test_the_build_is_strict(tmp_path: Path, text: str) -> None:
    """With our settings a link that leads nowhere ends the build."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(text)
    configuration = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(configuration)

    built = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert 1 == built.returncode
    assert "contains a link" in built.stderr


def test_a_page_without_its_place_ends_the_build(tmp_path: Path) -> None:
    """So that no page is forgotten in the navigation."""
    (tmp_path / "docs").mkdir()
    for name in ("index", "forgotten"):
        (tmp_path / "docs" / f"{name}.md").write_text(f"# {name}\n")
    configuration = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{configuration}\nnav:\n  - index.md\n")

    built = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert 1 == built.returncode
    assert "forgotten.md" in built.stderr
