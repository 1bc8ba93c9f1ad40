"""How sources put their requests, and how they read answers that may be anything."""

from collections.abc import Callable, Mapping

import pytest

from cvmfs_snapshotter.adapters.layers.remembered import MOST, SECONDS, Remembered
from cvmfs_snapshotter.adapters.layers.settings import SourceSettings
from cvmfs_snapshotter.adapters.layers.sources import Sources
from cvmfs_snapshotter.adapters.memory import MemoryClock
from cvmfs_snapshotter.domain.companions import Directory, Names
from cvmfs_snapshotter.domain.layer import Digest, Hit, Layer, Miss, Reason, Trouble

A, B, C = (Digest(letter * 64) for letter in "abc")
ONE = SourceSettings("one", "cvmfs", "one.example.org", "/cvmfs/one")
TWO = SourceSettings("two", "directory", "", "/mnt/two", "/host/two", lookup_deadline=9.0)
FOUND: Mapping[str, object] = {"diff_id": None, "proven": True}


RESULT = {
    "entries": 3,
    "markers": ["b/.wh.c", "a/.wh.\udcff"],
    "implied": ["b"],
    "directories": [["b", 0o755, 1, 2, 3], ["", 0o700, 0, 0, 5], ["a", 0o1777, 0, 0, 4]],
    "owners": [[0, 0], [1, 2]],
    "unusable": "",
    "stamp": "s",
}
NAMES = Names(
    entries=3,
    markers=(b"a/.wh.\xff", b"b/.wh.c"),
    directories=(
        Directory(b"", 0o700, 0, 0, 5),
        Directory(b"a", 0o1777, 0, 0, 4),
        Directory(b"b", 0o755, 1, 2, 3),
    ),
    implied=(b"b",),
    owners=((0, 0), (1, 2)),
    stamp="s",
)


class Prober:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: Mapping[str, object]) -> None:
        self.answers = list(answers)
        self.asked: list[Mapping[str, object]] = []
        self.seconds: list[float] = []

    def ask(self, request: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        """See ``Prober.ask``."""
        self.asked.append(request)
        self.seconds.append(seconds)
        return self.answers.pop(0)

    def follow(
        self,
        key: str,
        request: Mapping[str, object],
        finished: Callable[[Mapping[str, object]], None],
        patience: float,
        limit: float,
    ) -> Mapping[str, object]:
        """See ``Prober.follow``."""
        self.seconds += [patience, limit]
        answer = self.ask({**request, "key": key}, patience)
        finished(answer)
        return answer


@pytest.fixture
def clock() -> MemoryClock:
    """Give a clock that stands still."""
    return MemoryClock()


def test_defaults() -> None:
    """A source is where the daemon sees it, unless it is said where containerd does."""
    assert ("/cvmfs/one", 5.0, 60.0) == (ONE.host_path, ONE.lookup_deadline, ONE.scan_deadline)


def test_requests(clock: MemoryClock) -> None:
    """A repository is asked for its name, a directory is not; a path is the daemon's own."""
    prober = Prober({"reason": "absent", "detail": ""}, FOUND)
    sources = Sources([ONE, TWO], prober, clock)
    for name in sources.names:
        sources.look(Layer(name, A), 5.0)

    assert [
        {"root": "/cvmfs/one", "repository": "one.example.org"},
        {"root": "/mnt/two", "repository": None},
    ] == [request["source"] for request in prober.asked]


def test_deadlines(clock: MemoryClock) -> None:
    """A look-up takes neither longer than its source's limit nor than is left of the request."""
    prober = Prober({"reason": "absent"}, FOUND, {"reason": "absent"}, FOUND)
    sources = Sources([ONE, TWO], prober, clock)
    for name in sources.names:
        sources.look(Layer(name, A), 7.0)
    clock.advance(6.0)
    for name in sources.names:
        sources.look(Layer(name, A), 7.0)

    assert [5.0, 7.0, 1.0, 1.0] == prober.seconds
    assert 9.0 == sources.patience


def test_too_late(clock: MemoryClock) -> None:
    """When the time is used up, nothing is asked any more."""
    prober = Prober()
    sources = Sources([ONE], prober, clock)
    miss = sources.look(Layer("one", A), 0.0)
    trouble = sources.check([Layer("one", A)], 0.0)

    assert isinstance(miss, Miss)
    assert trouble is not None
    assert (Reason.SLOW, Reason.SLOW) == (miss.reason, trouble.reason)
    assert [] == prober.asked


def test_unproven(clock: MemoryClock) -> None:
    """A repository that does not say its name is used, with one warning for each source."""
    warnings: list[str] = []
    unproven = {"diff_id": None, "proven": False}
    prober = Prober(unproven, unproven)
    sources = Sources([ONE], prober, clock, warnings.append)

    assert Hit(Layer("one", A), None) == sources.look(Layer("one", A), 5.0)
    assert Hit(Layer("one", B), None) == sources.look(Layer("one", B), 5.0)
    assert 1 == len(warnings)
    assert "user.fqrn" in warnings[0]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"reason": "stale", "detail": "x"}, Miss(Reason.STALE, "x", "one")),
        ({"reason": "no such reason"}, Miss(Reason.FAILED, "", "one")),
        ({"reason": 7, "detail": 8}, Miss(Reason.FAILED, "8", "one")),
        ({"proven": True, "diff_id": "../x"}, Hit(Layer("one", A), None)),
        ({"proven": True, "diff_id": "b" * 64}, Hit(Layer("one", A), B)),
    ],
)
def test_answers(clock: MemoryClock, answer: Mapping[str, object], expected: Hit | Miss) -> None:
    """Whatever another process says is read as what it can mean."""
    assert expected == Sources([ONE], Prober(answer), clock).look(Layer("one", A), 5.0)


def test_check_is_one_request(clock: MemoryClock) -> None:
    """All layers of all sources are checked together, each of them once."""
    prober = Prober({"proven": True})
    layers = [Layer("two", A), Layer("one", A), Layer("two", A), Layer("two", B)]

    assert Sources([ONE, TWO], prober, clock).check(layers, 5.0) is None
    assert [[0, A.hex], [1, A.hex], [0, B.hex]] == prober.asked[0]["layers"]
    assert [TWO.request, ONE.request] == prober.asked[0]["sources"]


def test_look_above_is_one_request(clock: MemoryClock) -> None:
    """A layer and those below it on its source are asked for together, each of them once."""
    prober = Prober(FOUND)
    below = [Layer("two", A), Layer("two", A)]
    found = Sources([ONE, TWO], prober, clock).look_above(Layer("two", B), below, 5.0)

    assert Hit(Layer("two", B), None) == found
    assert [{"do": "look", "source": TWO.request, "layer": B.hex, "below": [A.hex]}] == (
        prober.asked
    )


@pytest.mark.parametrize(
    ("below", "until", "asked"),
    [
        ([], 5.0, ["look"]),
        ([Layer("two", A), Layer("one", A)], 5.0, ["check", "look"]),
        ([Layer("two", A)], TWO.lookup_deadline + 1.0, ["check", "look"]),
        ([Layer("two", A)], 0.0, []),
        ([Layer("gone", A)], 5.0, []),
    ],
)
def test_look_above_in_steps(
    clock: MemoryClock, below: list[Layer], until: float, asked: list[str]
) -> None:
    """Where one request would not do, the layers below are checked first."""
    prober = Prober(FOUND, FOUND)
    Sources([ONE, TWO], prober, clock).look_above(Layer("two", B), below, until)

    assert asked == [request["do"] for request in prober.asked]


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"reason": "absent", "detail": "d", "at": 0}, 0),
        ({"reason": "absent", "detail": "d", "at": 1}, 1),
        ({"reason": "absent", "detail": "d", "at": 2}, None),
        ({"reason": "slow", "detail": "d", "last": {"at": 1}}, 1),
        ({"reason": "slow", "detail": "d", "last": {"at": 2}}, None),
        # Nothing says that those below are sound.
        ({"reason": "failed", "detail": "d"}, 0),
        ({"reason": "slow", "detail": "d", "last": {}}, 0),
        ({"reason": "slow", "detail": "d", "last": {"at": 99}}, 0),
        ({"reason": "busy", "detail": "d", "last": {}}, 0),
    ],
)
def test_look_above_names_the_layer(
    clock: MemoryClock, answer: Mapping[str, object], place: int | None
) -> None:
    """What fails at one below is its trouble; a miss is what fails at the layer itself."""
    below = [Layer("two", A), Layer("two", C)]
    found = Sources([TWO], Prober(answer), clock).look_above(Layer("two", B), below, 5.0)

    if place is None:
        assert Miss(Reason(answer["reason"]), "d", "two") == found
    else:
        assert isinstance(found, Trouble)
        assert (below[place], Reason(answer["reason"]), "d") == (
            found.layer,
            found.reason,
            found.detail,
        )


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"reason": "absent", "detail": "d", "at": 1}, 1),
        ({"reason": "slow", "detail": "d", "last": {"at": 1}}, 1),
        ({"reason": "slow", "detail": "d", "last": {}}, 0),
        ({"reason": "slow", "detail": "d", "last": {"at": 99}}, 0),
        ({"reason": "slow", "detail": "d", "last": {"at": "x"}}, 0),
        ({"reason": "busy", "detail": "d"}, 0),
    ],
)
def test_check_names_the_layer(
    clock: MemoryClock, answer: Mapping[str, object], place: int
) -> None:
    """The layer in trouble is the one that the answer names, or the one where it stopped."""
    layers = [Layer("two", A), Layer("two", B)]
    trouble = Sources([TWO], Prober(answer), clock).check(layers, 5.0)
    digest = layers[place].digest

    assert trouble == Trouble(
        layers[place],
        f"/host/two/.layers/{digest.hex[:2]}/{digest.hex}/layerfs",
        Reason(answer["reason"]),
        "d",
    )


def test_scan_deadlines(clock: MemoryClock) -> None:
    """A scan may stand still as long as a look-up may take, and has a limit of its own."""
    prober = Prober(RESULT)
    kept: list[Names] = []

    assert NAMES == Sources([TWO], prober, clock).scan(Layer("two", A), kept.append)
    assert [9.0, 60.0] == prober.seconds[:2]
    assert [NAMES] == kept


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**RESULT, "entries": "3"},
        {**RESULT, "markers": "x"},
        {**RESULT, "markers": [1]},
        {**RESULT, "directories": [["a", 1]]},
        {**RESULT, "directories": [["a", "1", 0, 0, 0]]},
        {**RESULT, "owners": [1]},
        {**RESULT, "unusable": 1},
    ],
)
def test_scan_without_result(clock: MemoryClock, answer: Mapping[str, object]) -> None:
    """What is no result of a scan is a miss and is not kept."""
    kept: list[Names] = []
    miss = Sources([ONE], Prober(answer), clock).scan(Layer("one", A), kept.append)

    assert isinstance(miss, Miss)
    assert Reason.FAILED is miss.reason
    assert [] == kept


def test_scan_not_kept(clock: MemoryClock) -> None:
    """A result that could not be recorded is warned about and used."""
    warnings: list[str] = []
    prober = Prober(RESULT)

    def refuse(_: Names) -> None:
        raise OSError("disk full")

    sources = Sources([ONE], prober, clock, warnings.append)

    assert NAMES == sources.scan(Layer("one", A), refuse)
    assert "disk full" in warnings[0]


BELOW = {"directories": [["etc", 0o750, 1, 2, 3]]}


def test_the_layers_below_are_waited_for_like_a_scan(clock: MemoryClock) -> None:
    """The limits are those of a scan, and an answer that somebody got is asked for anew."""
    prober = Prober(BELOW, BELOW)
    sources = Sources([ONE, TWO], prober, clock)
    found = [sources.directories_below([b"etc"], [Layer("one", A)]) for _ in range(2)]

    assert [{b"etc": Directory(b"etc", 0o750, 1, 2, 3)}] * 2 == found
    assert [9.0, 60.0, 9.0] * 2 == prober.seconds


class Background(Prober):
    """Gives up at once and has its answers when it is told to."""

    def follow(
        self,
        key: str,
        request: Mapping[str, object],
        finished: Callable[[Mapping[str, object]], None],
        patience: float,
        limit: float,
    ) -> Mapping[str, object]:
        """See ``Prober.follow``."""
        self.asked.append(request)
        self.finish = finished
        return {"reason": "slow", "detail": "it goes on in the background"}


def test_what_was_found_below_in_the_background(clock: MemoryClock) -> None:
    """Its result is there for the next one who asks the same, once."""
    prober = Background()
    sources = Sources([ONE], prober, clock)
    first = sources.directories_below([b"etc"], [Layer("one", A)])
    prober.finish(BELOW)
    other = sources.directories_below([b"etc"], [Layer("one", B)])
    second = sources.directories_below([b"etc"], [Layer("one", A)])
    third = sources.directories_below([b"etc"], [Layer("one", A)])

    for miss in (first, other, third):
        assert isinstance(miss, Miss)
        assert Reason.SLOW is miss.reason
    assert {b"etc": Directory(b"etc", 0o750, 1, 2, 3)} == second
    assert 3 == len(prober.asked)


def test_a_failure_below_in_the_background(clock: MemoryClock) -> None:
    """It is not kept: who asks next tries again."""
    prober = Background()
    sources = Sources([ONE], prober, clock)
    for _ in range(2):
        sources.directories_below([b"etc"], [Layer("one", A)])
        prober.finish({"reason": "io-error", "detail": ""})

    assert 2 == len(prober.asked)


def test_old_answers_are_forgotten(clock: MemoryClock) -> None:
    """By age, since layers may be published anew, and by number."""
    kept = Remembered(clock)
    kept.put("old", {"a": 1})
    clock.advance(SECONDS + 1)
    for number in range(MOST + 1):
        kept.put(str(number), {"n": number})

    assert kept.take("old") is None
    assert kept.take("0") is None
    assert {"n": 1} == kept.take("1")
    assert kept.take("1") is None
    clock.advance(SECONDS + 1)
    assert kept.take("2") is None
