"""The mounts answer for every shape of a chain, and the page that options must fit."""

from collections.abc import Sequence

import attrs
import pytest

from cvmfs_snapshotter.domain.companions import Companion
from cvmfs_snapshotter.domain.errors import FailedPreconditionError
from cvmfs_snapshotter.domain.layer import Digest, Layer
from cvmfs_snapshotter.domain.mounts import (
    COMPACTED_FROM,
    OPTION_BYTES,
    Layout,
    Link,
    Mount,
    MountPlan,
    fits,
    option_bytes,
    plan_mounts,
)
from cvmfs_snapshotter.domain.snapshot import Kind, Snapshot

LAYOUT = Layout("/r", ("index=off",))
LOWERDIR = "lowerdir="


def on_source(layer: Layer) -> str | None:
    """Tell where a layer is, in few bytes."""
    return f"/c/{layer.digest.hex.lstrip('0')[:6]}"


def nowhere(_: Layer) -> str | None:
    """Tell of a layer on a source that is not configured."""
    return None


def snapshot(identifier: int, kind: Kind = Kind.COMMITTED, digest: str = "") -> Snapshot:
    """Make a snapshot, remote if it gets a digest."""
    return Snapshot(
        identifier=identifier,
        name=f"n{identifier}",
        parent_identifier=0,
        parent="",
        kind=kind,
        created_at=0,
        updated_at=0,
        labels={},
        layer=Layer("s", Digest(digest * 64)) if digest else None,
    )


ACTIVE = snapshot(9, Kind.ACTIVE)
VIEW = snapshot(9, Kind.VIEW)
LOCAL_1, LOCAL_2 = snapshot(1), snapshot(2)
REMOTE_3, REMOTE_4 = snapshot(3, digest="a"), snapshot(4, digest="b")
UPPER = ("workdir=/r/snapshots/9/work", "upperdir=/r/snapshots/9/fs")


def overlay(*options: str) -> tuple[Mount, ...]:
    """Make the overlay mount with these options."""
    return (Mount("overlay", "overlay", ("index=off", *options)),)


@pytest.mark.parametrize(
    ("top", "chain", "expected"),
    [
        (ACTIVE, (), (Mount("bind", "/r/snapshots/9/fs", ("rw", "rbind")),)),
        (VIEW, (), (Mount("bind", "/r/snapshots/9/fs", ("ro", "rbind")),)),
        (VIEW, (LOCAL_1,), (Mount("bind", "/r/snapshots/1/fs", ("ro", "rbind")),)),
        (ACTIVE, (LOCAL_1,), overlay(*UPPER, "lowerdir=/r/snapshots/1/fs")),
        (VIEW, (LOCAL_2, LOCAL_1), overlay("lowerdir=/r/snapshots/2/fs:/r/snapshots/1/fs")),
        (
            ACTIVE,
            (LOCAL_2, LOCAL_1),
            overlay(*UPPER, "lowerdir=/r/snapshots/2/fs:/r/snapshots/1/fs"),
        ),
        (VIEW, (REMOTE_3,), overlay("lowerdir=/r/l/s:/c/aaaaaa")),
        (ACTIVE, (REMOTE_3,), overlay(*UPPER, "lowerdir=/r/l/s:/c/aaaaaa")),
        (VIEW, (REMOTE_4, REMOTE_3), overlay("lowerdir=/r/l/s:/c/bbbbbb:/c/aaaaaa")),
        (VIEW, (LOCAL_2, REMOTE_3), overlay("lowerdir=/r/snapshots/2/fs:/r/l/s:/c/aaaaaa")),
        (VIEW, (REMOTE_3, LOCAL_1), overlay("lowerdir=/r/l/s:/c/aaaaaa:/r/snapshots/1/fs")),
        (
            ACTIVE,
            (LOCAL_2, REMOTE_4, LOCAL_1, REMOTE_3),
            overlay(
                *UPPER, "lowerdir=/r/snapshots/2/fs:/r/l/s:/c/bbbbbb:/r/snapshots/1/fs:/c/aaaaaa"
            ),
        ),
    ],
)
def test_mounts_by_kind_and_chain(
    top: Snapshot, chain: tuple[Snapshot, ...], expected: tuple[Mount, ...]
) -> None:
    """Every kind over every chain has one answer; a remote layer is never bound or alone."""
    assert MountPlan(expected) == plan_mounts(top, chain, LAYOUT, on_source)


def named(plan: MountPlan) -> list[str]:
    """Give the lower directories as the mount names them."""
    return plan.mounts[0].options[-1].removeprefix(LOWERDIR).split(":")


@pytest.mark.parametrize(
    "path", ["/a:b", "/a,b", "/a\\b", "/a\nb", "/a\0b", None, "/" + "x" * COMPACTED_FROM]
)
def test_links_name_what_cannot_be_named_directly(path: str | None) -> None:
    """One path that is not plain, not known or too long is enough; then links name the whole."""
    chain = (LOCAL_2, REMOTE_4, LOCAL_1, REMOTE_3)

    def path_of(layer: Layer) -> str | None:
        return path if layer == REMOTE_4.layer else on_source(layer)

    plan = plan_mounts(ACTIVE, chain, LAYOUT, path_of)
    made = {4: path, 2: None, 1: None, 3: "/c/aaaaaa"}
    if path is None:
        del made[4]

    assert [f"/r/l/{name}" for name in "2s413"] == named(plan)
    assert made == {link.identifier: link.path for link in plan.links}


def test_lower_directories_are_named_directly_below_a_bound() -> None:
    """From 3,584 bytes on containerd shortens options, which it can do with links alone."""
    chain: tuple[Snapshot, ...] = (LOCAL_1,)
    direct = plan_mounts(ACTIVE, chain, LAYOUT, nowhere)
    while not (plan := plan_mounts(ACTIVE, chain, LAYOUT, nowhere)).links:
        direct, chain = plan, (snapshot(len(chain) + 1000), *chain)
    identifiers = [each.identifier for each in chain]

    length = len(",".join(direct.mounts[0].options))
    assert 3584 - len(":/r/snapshots/1000/fs") <= length < 3584
    assert [LAYOUT.files(i) for i in identifiers[1:]] == named(direct)
    assert [LAYOUT.link(i) for i in identifiers] == named(plan)
    assert [Link(i, None) for i in identifiers] == [*plan.links]


@pytest.mark.parametrize(("length", "linked"), [(3583, False), (3584, True)])
def test_the_bound_is_met_exactly(length: int, linked: bool) -> None:
    """All options count, joined by commas, in bytes."""
    plan = plan_mounts(ACTIVE, (REMOTE_3,), LAYOUT, lambda _: "/")
    missing = length - len(",".join(plan.mounts[0].options))
    path = "/" + "é" * (missing // 2) + "x" * (missing % 2)
    plan = plan_mounts(ACTIVE, (REMOTE_3,), LAYOUT, lambda _: path)

    assert ["/r/l/s", "/r/l/3" if linked else path] == named(plan)
    assert linked == bool(plan.links)


def test_a_staged_layer_is_named_as_any_other() -> None:
    """Directly, and by a link that is made where its path is not plain."""
    staged = attrs.evolve(snapshot(9, Kind.ACTIVE, "a"), staged=True)
    direct, linked = (
        plan_mounts(staged, (), LAYOUT, lambda _, p=path: p)  # type: ignore[misc]
        for path in ("/c/a", "/c,/a")
    )

    assert (["/r/l/s", "/c/a"], ()) == (named(direct), direct.links)
    assert (["/r/l/s", "/r/l/9"], (Link(9, "/c,/a"),)) == (named(linked), linked.links)


def test_a_layer_that_is_stacked_once_needs_one_link() -> None:
    """What is not named is not made."""
    chain = (snapshot(5, digest="a"), REMOTE_3)

    assert (Link(5, "/c,d"),) == plan_mounts(ACTIVE, chain, LAYOUT, lambda _: "/c,d").links


def companion(snapshot: Snapshot, number: int, *, above: bool, below: bool) -> Snapshot:
    """Give a remote snapshot a companion."""
    return attrs.evolve(snapshot, companion=Companion(number, above, below))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (
            (companion(REMOTE_3, 70, above=True, below=True),),
            "/r/l/s:/r/l/70a:/r/l/3:/r/l/70b",
        ),
        ((companion(REMOTE_3, 70, above=True, below=False),), "/r/l/s:/r/l/70a:/r/l/3"),
        (
            (
                LOCAL_2,
                companion(REMOTE_4, 71, above=True, below=True),
                LOCAL_1,
                companion(REMOTE_3, 70, above=True, below=False),
            ),
            "/r/l/2:/r/l/s:/r/l/71a:/r/l/4:/r/l/71b:/r/l/1:/r/l/70a:/r/l/3",
        ),
        (
            (
                companion(snapshot(5, digest="a"), 70, above=True, below=True),
                companion(REMOTE_3, 70, above=True, below=True),
            ),
            "/r/l/s:/r/l/70a:/r/l/5:/r/l/70b",
        ),
    ],
)
def test_companions_lie_above_and_below_their_layer(
    chain: tuple[Snapshot, ...], expected: str
) -> None:
    """Each with its own layer, and once where the layer occurs twice."""
    assert expected == ":".join(links(chain))


def links(chain: Sequence[Snapshot], layout: Layout = LAYOUT) -> tuple[str, ...]:
    """Give the lower directories of a chain by their links."""
    return tuple(named(plan_mounts(ACTIVE, chain, layout, None)))


def test_companions_are_always_named_by_their_links() -> None:
    """They are made with their links; the layer between them is named directly."""
    chain = (companion(REMOTE_3, 70, above=True, below=True),)
    plan = plan_mounts(ACTIVE, chain, LAYOUT, on_source)

    assert ["/r/l/s", "/r/l/70a", "/c/aaaaaa", "/r/l/70b"] == named(plan)
    assert () == plan.links


def test_companions_count_for_the_page() -> None:
    """128 layers fit, every one of them with a companion on both sides."""
    layout = Layout("/var/lib/containerd-cvmfs-grpc", ("index=off", "userxattr"))
    chain = tuple(
        attrs.evolve(
            snapshot(1000 + n),
            layer=Layer("s", Digest(f"{n:064x}")),
            companion=Companion(2000 + n, above=True, below=True),
        )
        for n in range(128)
    )

    assert fits(chain, layout)
    assert not fits(
        (
            *chain,
            *(
                attrs.evolve(s, layer=Layer("s", Digest(f"{n:064x}")))
                for n, s in enumerate(chain * 3, 1000)
            ),
        ),
        layout,
    )


def test_a_layer_that_occurs_twice_is_stacked_where_it_is_topmost() -> None:
    """The kernel refuses a directory that occurs twice among the lower ones."""
    again = snapshot(5, digest="a")
    chain = (again, REMOTE_4, REMOTE_3)

    assert ("/r/l/s", "/r/l/5", "/r/l/4") == links(chain)


def test_one_remote_layer_three_times_still_has_a_local_lower() -> None:
    """An overlay is never made of a source's directories alone."""
    chain = (snapshot(7, digest="a"), snapshot(6, digest="a"), REMOTE_3)

    plan = plan_mounts(VIEW, chain, LAYOUT, on_source)

    assert overlay("lowerdir=/r/l/s:/c/aaaaaa") == plan.mounts


def test_local_snapshots_are_never_taken_for_one_another() -> None:
    """Only a published layer can occur twice."""
    assert ("/r/l/2", "/r/l/1") == links((LOCAL_2, LOCAL_1))


def test_bytes_are_counted_as_containerd_passes_them() -> None:
    """Short options are passed whole; long ones without the directory that lowers share."""
    few = ("/root/l/1", "/root/l/2")
    many = tuple(f"/root/l/{i}" for i in range(1000, 1400))

    assert len("index=off,lowerdir=/root/l/1:/root/l/2") == option_bytes(
        ["index=off", f"lowerdir={':'.join(few)}"], few
    )
    assert len("lowerdir=") + 400 * 4 + 399 == option_bytes([f"lowerdir={':'.join(many)}"], many)


def test_every_count_of_layers_fits_or_is_refused() -> None:
    """The limit is met exactly: the last chain that fits needs no more than the page."""
    layout = Layout("/var/lib/containerd-cvmfs-grpc", ("index=off",))
    chain: tuple[Snapshot, ...] = ()
    number = 10**6
    while fits(chain, layout):
        number += 1
        chain = (snapshot(number), *chain)
    top = snapshot(2**63 - 1, Kind.ACTIVE)
    options = plan_mounts(top, chain[1:], layout, nowhere).mounts[0].options

    assert 400 < len(chain) < 500
    assert option_bytes(options, links(chain[1:], layout)) <= OPTION_BYTES
    with pytest.raises(FailedPreconditionError, match=f"{len(chain)} lower directories, whose"):
        plan_mounts(top, chain, layout, nowhere)


def test_the_kernel_takes_500_lower_directories() -> None:
    """One more is refused here, because the mount would fail for ever."""
    chain = tuple(snapshot(n) for n in range(501, 0, -1))

    assert fits(chain[1:], LAYOUT)
    with pytest.raises(FailedPreconditionError, match="501 lower directories; the kernel"):
        plan_mounts(ACTIVE, chain, LAYOUT, nowhere)


def test_a_root_with_128_layers_fits() -> None:
    """containerd's own test suite mounts 128 layers."""
    chain = tuple(snapshot(i) for i in range(128, 0, -1))

    assert fits(chain, Layout("/var/lib/containerd-cvmfs-grpc", ("index=off", "userxattr")))


@pytest.mark.parametrize("companions", [0, 1, 2])
@pytest.mark.parametrize(
    "root", ["/r", "/var/lib/containerd-cvmfs-grpc", f"/{'d' * 200}", "/é" * 99]
)
def test_what_fits_without_a_look_is_mounted_with_the_longest_names(
    root: str, companions: int
) -> None:
    """However long the chain is, the answer is what planning its mounts would give."""
    layout, last = Layout(root, ("index=off",)), 2**63 - 1
    top, chain, answers = snapshot(last, Kind.ACTIVE), list[Snapshot](), set[bool]()
    for number in range(1, 260):
        companion = Companion(last - number, above=True, below=companions > 1)
        layer = Layer("s", Digest(f"{number:064x}"))
        made = attrs.evolve(snapshot(last - number), layer=layer)
        chain.insert(0, attrs.evolve(made, companion=companion) if companions else made)
        try:
            plan_mounts(top, chain, layout, nowhere)
            planned = True
        except FailedPreconditionError:
            planned = False
        assert planned == fits(chain, layout)
        answers.add(planned)

    assert {True, False} == answers
