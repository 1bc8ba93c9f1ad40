"""From one text to another, and back."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvmfs_snapshotter.entrypoints.containerd_config.check import check
from cvmfs_snapshotter.entrypoints.containerd_config.documents import Document
from cvmfs_snapshotter.entrypoints.containerd_config.releases import Pull
from cvmfs_snapshotter.entrypoints.containerd_setup.editing import edit
from cvmfs_snapshotter.entrypoints.containerd_setup.errors import RefusedError
from cvmfs_snapshotter.entrypoints.containerd_setup.regions import BEGIN, END, sum_of, undo
from tests.entrypoints.containerd_config.configurations import wanted
from tests.entrypoints.containerd_setup import samples

CASES = [
    (release, pull, name) for release, pull in samples.WAYS for name in samples.NAMES[release]
]


@pytest.mark.parametrize(("release", "pull", "name"), CASES)
def test_a_usual_file(release: str, pull: Pull, name: str) -> None:
    """It passes the check; all else that it says stays; twice is once; and it can be undone."""
    text = samples.files(release)[name]
    after = edit(text, wanted(release, pull), pull)
    document = Document("config.toml", tomllib.loads(after))

    assert () == check([document], wanted(release, pull)).findings
    assert text == undo(after).text
    assert after == edit(undo(after).text, wanted(release, pull), pull)
    assert _others(tomllib.loads(text)) == _others(tomllib.loads(after))


def _others(content: dict[str, Any]) -> list[tuple[object, ...]]:
    """All values with the way to them, but for the keys that we set."""
    ours = {"snapshotter", "disable_snapshot_annotations", "use_local_image_pull", "version"}

    def walk(value: Any, way: tuple[object, ...]) -> list[tuple[object, ...]]:
        if {"cvmfs-snapshotter", "unpack_config"} & set(way) or (way and way[-1] in ours):
            return []
        if isinstance(value, dict):
            return [leaf for key, one in value.items() for leaf in walk(one, (*way, key))]
        return [(*way, repr(value))]

    return walk(content, ())


def test_regions_hold_what_was_there() -> None:
    """A line that is replaced stands in the region, and comes back with its spaces."""
    after = edit(samples.KUBEADM, wanted("1.7"), Pull.LOCAL)

    assert f'{BEGIN}\n#|       snapshotter = "overlayfs" # the default\n' in after
    assert f'      snapshotter = "cvmfs-snapshotter"\n{END}\n' in after


def test_other_lines_may_change_meanwhile() -> None:
    """Our lines are taken out of a file that was edited elsewhere, and nothing else is."""
    after = edit(samples.KUBEADM, wanted("1.7"), Pull.LOCAL)
    changed = after.replace("pause:3.9", "pause:3.10") + "# more\n"

    expected = samples.KUBEADM.replace("pause:3.9", "pause:3.10") + "# more\n"
    assert expected == undo(changed).text


def test_other_ends_of_lines() -> None:
    """An editor that ends all lines in another way leaves what our notes say."""
    after = edit("", wanted("2.1"), Pull.LOCAL, made=sum_of(""))
    undone = undo(after.replace("\n", "\r\n"))

    assert ("", True, 3) == (undone.text, undone.alone, undone.version)


def test_another_socket() -> None:
    """Where our lines are those of another daemon, they become the right ones."""
    text = samples.KUBEADM.replace('"overlayfs"', '"cvmfs-snapshotter"')
    text += '[proxy_plugins.cvmfs-snapshotter]\ntype = "snapshot"\naddress = "/other.sock"\n'
    after = edit(text, wanted("1.7"), Pull.LOCAL)

    assert '#| address = "/other.sock"\naddress = "/run/' in after
    assert after.count('snapshotter = "cvmfs-snapshotter"') == 1, "what is right is left alone"
    assert text == undo(after).text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[plugins\n", "not TOML"),
        ("\ufeffversion = 2\n", "not TOML"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ('disabled_plugins = ["cri"]\n', "no version, or version 1"),
        ("version = 1\n", "no version, or version 1"),
        ('{{ template "base" . }}\n', "template with actions"),
        ("version = 2\nproxy_plugins = {}\n", "merge the lines of"),
        ("version = 2\nproxy_plugins = 3\n", "no table"),
        (
            'version = 2\n[plugins]\n"io.containerd.grpc.v1.cri".containerd.snapshotter = "x"\n',
            "merge the lines of",
        ),
        ("version = 2\na = [\n" + "1,\n" * 1001 + "]\n", "line 2 begins a statement"),
    ],
)
def test_what_is_not_understood(text: str, why: str) -> None:
    """It is refused with the reason; there is no outcome that could be written."""
    with pytest.raises(RefusedError, match=why):
        edit(text, wanted("1.7"), Pull.LOCAL)


def test_a_list_in_brackets() -> None:
    """A list of the transfer service that is not empty cannot be edited by lines."""
    entry = 'unpack_config = [{ platform = "linux/amd64", snapshotter = "native" }]'
    text = samples.OF_3.replace("unpack_config = []", entry)

    with pytest.raises(RefusedError, match=r"--for 2\.1 --pull transfer"):
        edit(text, wanted("2.1", Pull.TRANSFER), Pull.TRANSFER)


@pytest.mark.parametrize("mark", [BEGIN, END])
@pytest.mark.parametrize("place", [0, 1, -1])
def test_marks_that_lost_their_half(mark: str, place: int) -> None:
    """Nothing is guessed: the message names the line."""
    lines = edit(samples.KUBEADM, wanted("1.7"), Pull.LOCAL).splitlines()
    marks = [number for number, line in enumerate(lines) if line == mark]
    del lines[marks[place]]

    with pytest.raises(RefusedError, match=r"line \d+: a mark"):
        undo("\n".join(lines) + "\n")


_words = st.sampled_from(["root", "state", "oom_score", "x y", 'a"b', "ü", "[t]", "#"])
_scalars = st.one_of(
    st.integers(-9, 9).map(str),
    st.sampled_from(
        [
            *(
                "true",
                "1.5",
                "'lit # [x]'",
                '"a\\n\\"b"',
                "[]",
                '[ "a", # ]\n  [1] ]',
                "{ k = 1 }",
            ),
            *('"""\n[not.a.table]\nsnapshotter = "no"\n"""', "'''\n# no comment\n'''"),
        ]
    ),
)


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Files with all forms of TOML at their top, and the CRI's tables in some order."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    blank = st.sampled_from(["", "# c", "  # >>> other", "\t"])
    lines = ["version = 2"]
    for key in draw(st.lists(_words, unique=True, max_size=4)):
        quoted = key if key.isalpha() and key.isascii() else '"' + key.replace('"', '\\"') + '"'
        lines += [f"{quoted} = {draw(_scalars)}", draw(blank)]
    cri = draw(st.sampled_from(["'io.containerd.grpc.v1.cri'", '"io.containerd.grpc.v1.cri"']))
    tables = [
        [f"[plugins.{cri}]", 'sandbox_image = "p"'],
        [f"[ plugins . {cri} . containerd ]", *draw(st.lists(_settings, max_size=1)), "# end"],
        [
            f"[plugins.{cri}.containerd.runtimes.runc] # c",
            'runtime_type = "io.containerd.runc.v2"',
        ],
        ["[proxy_plugins]"],
        ["[[stream]]", "a = 1", "[[stream]]"],
        ["[proxy_plugins.cvmfs-snapshotter]", 'address = "/x"'],
    ]
    for table in draw(st.permutations(tables))[: draw(st.integers(0, len(tables)))]:
        lines += table
    text = "\n".join(lines).replace("\n", end)
    return text + draw(st.sampled_from(["", end, end + "# last", end + end]))


_settings = st.sampled_from(
    ['snapshotter = "overlayfs"', "  disable_snapshot_annotations=true # c"]
)


@given(text=configurations(), made=st.booleans())
def test_any_file(text: str, made: bool) -> None:
    """What is edited says what is wanted and what was said, twice is once, undone is the first."""
    before = tomllib.loads(text)
    after = edit(text, wanted("1.7"), Pull.LOCAL, made=sum_of(text) if made else None)
    undone = undo(after)

    assert text == undone.text
    assert (made, made) == (undone.made is not None, undone.alone)
    assert after == edit(undone.text, wanted("1.7"), Pull.LOCAL, made=undone.made)
    assert _others(before) == _others(tomllib.loads(after))
    assert () == check([Document("c", tomllib.loads(after))], wanted("1.7")).findings


@given(text=st.text(st.sampled_from(["a", "=", "1", '"', "'", "[", "]", "\n", "\r", "#", " "])))
def test_whatever_is_in_it(text: str) -> None:
    """A text is either refused, or comes back after it was edited."""
    try:
        after = edit(f"version = 2\n{text}", wanted("1.7"), Pull.LOCAL)
    except RefusedError:
        return

    assert f"version = 2\n{text}" == undo(after).text
