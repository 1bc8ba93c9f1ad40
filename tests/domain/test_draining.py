"""What stands on remote snapshots."""

from cvmfs_snapshotter.domain.containerd import (
    ContainerdRecords,
    KnownContainer,
    KnownSnapshot,
)
from cvmfs_snapshotter.domain.draining import (
    DependentContainer,
    DependentImage,
    Dependents,
    dependents,
)

BASE = KnownSnapshot("k8s.io", "base", "k8s.io/1/base", "")
TOP = KnownSnapshot("k8s.io", "top", "k8s.io/2/top", "base")
RUNNING = KnownSnapshot("k8s.io", "c1", "k8s.io/3/c1", "top")
LOCAL = KnownSnapshot("k8s.io", "local", "k8s.io/4/local", "")
ELSEWHERE = KnownSnapshot("default", "top", "default/5/top", "")
KNOWN = ContainerdRecords(
    (BASE, TOP, RUNNING, LOCAL, ELSEWHERE),
    (
        KnownContainer("k8s.io", "c1", "c1"),
        KnownContainer("k8s.io", "c2", "local"),
        KnownContainer("default", "c3", "top"),
    ),
    {
        ("k8s.io", "top"): ("r.io/b:1", "r.io/a:1", "r.io/a:1"),
        ("k8s.io", "local"): ("r.io/local:1",),
        ("default", "top"): ("r.io/a:1",),
    },
)


def test_dependents() -> None:
    """Containers and images with anything remote below them, in their own namespace."""
    found = dependents(KNOWN, [BASE.name, TOP.name, "k8s.io/9/gone"])
    expected = Dependents(
        (DependentContainer(KNOWN.containers[0], 2),),
        (DependentImage("k8s.io", "r.io/a:1", 2), DependentImage("k8s.io", "r.io/b:1", 2)),
        1,
    )

    assert expected == found
    assert Dependents((), (), 0) == dependents(KNOWN, [])


def test_a_circle() -> None:
    """Damaged records end the walk."""
    one = KnownSnapshot("n", "a", "n/1/a", "b")
    other = KnownSnapshot("n", "b", "n/2/b", "a")
    known = ContainerdRecords((one, other), (KnownContainer("n", "c", "a"),), {})

    assert 2 == dependents(known, [one.name, other.name]).containers[0].remote


def test_commands() -> None:
    """Those of the CRI where the kubelet is the owner; names are one word each."""
    container = DependentContainer(KnownContainer("k8s.io", "c1", "c1"), 1)
    assert "crictl rm -f c1" == container.command
    image = DependentImage("k8s.io", "r.io/a:1", 1)
    assert "crictl rmi r.io/a:1; crictl pull r.io/a:1" == image.command("overlayfs")
    odd = DependentImage("a b", "x; y", 1)
    assert odd.command("o v") == (
        "ctr -n 'a b' images rm --sync 'x; y'; ctr -n 'a b' images pull --snapshotter 'o v' 'x; y'"
    )
