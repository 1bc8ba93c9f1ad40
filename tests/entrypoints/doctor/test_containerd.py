"""containerd, as its processes and files tell of it."""

import shutil
from pathlib import Path

import attrs
import pytest

from cvmfs_snapshotter.adapters.layers.prober import Message
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.domain.containerd import ContainerdRecords, KnownImage
from cvmfs_snapshotter.domain.layer import Digest
from cvmfs_snapshotter.entrypoints.cli.arguments import parse
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES, Pull
from cvmfs_snapshotter.entrypoints.containerd_config.snippet import render
from cvmfs_snapshotter.entrypoints.containerd_config.wanted import Wanted
from cvmfs_snapshotter.entrypoints.doctor import containerd
from cvmfs_snapshotter.entrypoints.doctor.containerd import Process
from cvmfs_snapshotter.entrypoints.doctor.result import Outcome, Result

SOURCE = SourceSettings("s", SourceKind.CVMFS, "r.example.org", "/cvmfs/r", "/host/r")
PROCESS = Process("7", "/none/config.toml", RELEASES["1.7"], "1.7.24")
ADDRESS, ROOT, PLATFORM = "/run/s.sock", "/var/lib/s", "linux/amd64"


def make_process(base: Path, pid: str, *arguments: str, name: str = "containerd") -> None:
    """Make what ``/proc`` shows of a process."""
    directory = base / pid
    (directory / "ns").mkdir(parents=True)
    (directory / "comm").write_text(f"{name}\n")
    (directory / "cmdline").write_text("\0".join((name, *arguments, "")))
    program = directory / "exe"
    program.write_text("#!/bin/sh\necho containerd github.com/containerd/containerd v1.7.24~ds1\n")
    program.chmod(0o755)
    (directory / "ns/mnt").symlink_to("mnt:[1]")
    (directory / "mountinfo").write_text("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """Make a ``/proc`` with this process in it."""
    base = tmp_path / "proc"
    make_process(base, "self", name="python")
    return base


def test_processes(processes: Path) -> None:
    """Every containerd, none of its shims; with what each is told."""
    make_process(processes, "20", "--log-level", "info")
    make_process(processes, "3", "--config", "/c.toml")
    make_process(processes, "4", "-c=/d.toml")
    make_process(processes, "5", name="containerd-shim")
    (processes / "4/exe").write_text("#!/bin/sh\necho none\n")
    (processes / "20/exe").unlink()
    first, second, third = containerd.find_processes(processes)

    assert Process("3", "/c.toml", RELEASES["1.7"], "1.7.24") == first
    assert Process("4", "/d.toml", None, "") == second
    assert Process("20", containerd.DEFAULT_CONFIG, None, "") == third


def test_whether_it_runs() -> None:
    """None, one that is known, one that is not, or several."""
    unknown = attrs.evolve(PROCESS, release=None, version="9.9.9")
    assert Outcome.FAIL == containerd.check_running([]).outcome
    assert Outcome.PASS == containerd.check_running([PROCESS]).outcome
    assert Outcome.WARN == containerd.check_running([unknown]).outcome
    assert "9.9.9 runs" in containerd.check_running([unknown]).what
    several = containerd.check_running([PROCESS, attrs.evolve(PROCESS, pid="8")])
    assert Outcome.WARN == several.outcome
    assert [f"cvmfs-snapshotter doctor --containerd-pid {pid}" for pid in "78"] == list(
        several.mend
    )


def judge(process: Process) -> list[tuple[str, Outcome]]:
    """Judge its configuration."""
    found = containerd.check_config(process, ADDRESS, ROOT, PLATFORM)
    return [(result.name, result.outcome) for result in found]


def test_configurations(tmp_path: Path) -> None:
    """Right, right with a note, wrong, not there, or of an unknown release."""
    path = tmp_path / "config.toml"
    process = attrs.evolve(PROCESS, config=str(path))
    name = "containerd-config"
    assert [(name, Outcome.FAIL)] == judge(process)
    path.write_text(render(Wanted(RELEASES["1.7"], ADDRESS, ROOT, PLATFORM)))
    assert [(name, Outcome.PASS)] == judge(process)
    path.write_text(f"{path.read_text()}  discard_unpacked_layers = true\n")
    assert [(name, Outcome.WARN)] == judge(process)
    path.write_text("version = 2\n")
    assert {f"{name} proxy-missing", f"{name} cri-snapshotter"} < {n for n, _ in judge(process)}
    assert {Outcome.FAIL} == {outcome for _, outcome in judge(process)}
    assert [(name, Outcome.WARN)] == judge(attrs.evolve(process, release=None))


def test_the_command_that_mends_a_configuration(tmp_path: Path) -> None:
    """It writes our lines and restarts containerd only then; what is wrong is said in words."""
    path = tmp_path / "config.toml"
    path.write_text("version = 2\n")
    process = attrs.evolve(PROCESS, config=str(path))
    found = list(containerd.check_config(process, ADDRESS, ROOT, PLATFORM))

    setup = (
        f"cvmfs-snapshotter containerd-setup --for 1.7 --address {ADDRESS} --root {ROOT}"
        f" --config {path} --apply && systemctl restart containerd"
    )
    assert {(setup,)} == {tuple(result.mend) for result in found}
    assert all(result.advice for result in found)
    ours, _, _ = setup.partition(" &&")
    assert callable(parse(ours.split()[1:], as_daemon=False).act)


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    """What is not there is written; what is there is not overwritten."""
    path = tmp_path / "config.toml"
    process = attrs.evolve(PROCESS, config=str(path))
    (found,) = containerd.check_config(process, ADDRESS, ROOT, PLATFORM)
    assert Outcome.FAIL == found.outcome
    assert ["containerd-setup"] == [line.split()[1] for line in found.mend]
    path.write_text("version =")
    (found,) = containerd.check_config(process, ADDRESS, ROOT, PLATFORM)
    assert Outcome.FAIL == found.outcome
    assert (f"containerd --config {path} config dump",) == tuple(found.mend)
    assert found.advice


def test_a_configuration_that_is_written_at_each_start(tmp_path: Path) -> None:
    """A command that changes it would hold until then; it is said where the lines belong."""
    path = tmp_path / "rancher/k3s/agent/etc/containerd/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("version = 2\n")
    found = list(
        containerd.check_config(attrs.evolve(PROCESS, config=str(path)), ADDRESS, ROOT, PLATFORM)
    )

    assert found
    assert not any(result.mend for result in found)
    assert all("docs/kubernetes.md" in result.advice[-1] for result in found)


def test_a_configuration_in_another_namespace(processes: Path) -> None:
    """The file that this containerd sees is read, not the one of the same name here."""
    make_process(processes, "7")
    there = processes / "7/root/etc"
    process = attrs.evolve(PROCESS, config="/etc/containerd-of-7.toml", apart=True)

    def look() -> list[Result]:
        return list(containerd.check_config(process, ADDRESS, ROOT, PLATFORM, processes))

    (unknown,) = look()
    assert Outcome.WARN == unknown.outcome
    there.mkdir(parents=True)
    (missing,) = look()
    assert Outcome.FAIL == missing.outcome
    (there / "containerd-of-7.toml").write_text("version = 2\n")
    wrong = look()
    assert "containerd-config proxy-missing" in {result.name for result in wrong}
    for result in (unknown, missing, *wrong):
        assert "in a mount namespace of its own" in result.what
        assert "nsenter --target 7 --mount cat /etc/containerd-of-7.toml" in result.mend
        assert not any("systemctl" in line or ">" in line for line in result.mend)
        assert "restart that containerd" in result.advice[-1]
    (there / "containerd-of-7.toml").write_text(
        render(Wanted(RELEASES["1.7"], ADDRESS, ROOT, PLATFORM))
    )
    (right,) = look()
    assert Outcome.PASS == right.outcome
    assert "/etc/containerd-of-7.toml of process 7, in a mount namespace of its own, lets" in (
        right.what
    )


@pytest.mark.parametrize("version", ["2.1.1", "2.1.9"])
def test_the_version_counts(version: str, tmp_path: Path) -> None:
    """What a file alone cannot tell, the running program does: early 2.1 guesses the differ."""
    path = tmp_path / "config.toml"
    wanted = Wanted(RELEASES["2.1"], ADDRESS, ROOT, PLATFORM, Pull.TRANSFER)
    lines = render(wanted).splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "differ" not in line))
    process = Process("7", str(path), RELEASES["2.1"], version)

    expected = {
        "2.1.1": {"containerd-config unpack-differ"},
        "2.1.9": {"containerd-config"},
    }
    assert expected[version] == {name for name, _ in judge(process)}


class _Prober:
    """Answers without a process, and remembers what it was asked."""

    def __init__(self, answer: Message) -> None:
        self.answer = answer
        self.asked: list[Message] = []

    def ask(self, request: Message, _seconds: float) -> Message:
        """Give the answer."""
        self.asked.append(request)
        return self.answer


def test_its_view(processes: Path) -> None:
    """It is asked through its root, at the path that its mounts will have."""
    make_process(processes, "7")
    prober = _Prober({"revision": 12})
    found = containerd.check_view(prober, PROCESS, SOURCE, processes)  # type: ignore[arg-type]

    assert Outcome.PASS == found.outcome
    assert "/host/r is r.example.org, revision 12, in our own mount namespace" == found.what
    (request,) = prober.asked
    source = request["source"]
    assert isinstance(source, dict)
    assert f"{processes}/7/root/host/r" == source["root"]
    other = attrs.evolve(PROCESS, apart=True)
    found = containerd.check_view(prober, other, SOURCE, processes)  # type: ignore[arg-type]
    assert found.what.endswith("in a mount namespace of its own")


def test_a_view_without_the_source(processes: Path) -> None:
    """In a namespace of its own, where mounts made outside may not come to."""
    make_process(processes, "7")
    prober = _Prober({"reason": "not-mounted", "detail": "no"})

    def ways(process: Process) -> str:
        found = containerd.check_view(prober, process, SOURCE, processes)  # type: ignore[arg-type]
        assert Outcome.FAIL == found.outcome
        return "\n".join(found.mend)

    assert "make-rshared" not in ways(PROCESS)
    assert "mount --make-rshared /" in ways(attrs.evolve(PROCESS, apart=True))
    shared = "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
    (processes / "7/mountinfo").write_text(shared)
    assert "make-rshared" not in ways(attrs.evolve(PROCESS, apart=True))


def test_a_process_that_has_ended(processes: Path) -> None:
    """Its view is not known any more."""
    found = containerd.check_view(_Prober({}), PROCESS, SOURCE, processes)  # type: ignore[arg-type]
    assert Outcome.WARN == found.outcome
    make_process(processes, "8")
    shutil.rmtree(processes / "8/ns")
    assert containerd.process_of("8", processes).apart


PAUSE = "registry.k8s.io/pause:3.9"
OTHER = "docker.io/library/a:1"


def images(*names: str) -> list[KnownImage]:
    """Give images of Kubernetes, each under its digest too, as the CRI has them."""
    found = []
    for number, name in enumerate(names):
        digest = Digest(f"{number:064x}")
        found += [
            KnownImage("k8s.io", name, digest),
            KnownImage("k8s.io", f"{name.rpartition(':')[0]}@{digest}", digest),
            KnownImage("k8s.io", str(digest), digest),
            KnownImage("default", f"r.io/{number}:1", digest),
        ]
    return found


LAYER = Digest("f" * 64)


@attrs.frozen
class _Content:
    """Has images whose one layer is there, or not."""

    names: tuple[str, ...]
    complete: bool = False
    manifest: bytes = f'{{"layers": [{{"digest": "{LAYER}"}}]}}'.encode()

    def images(self) -> list[KnownImage]:
        return images(*self.names)

    def blob(self, _: Digest) -> bytes:
        return self.manifest

    def size(self, _: Digest) -> int | None:
        return 1 if self.complete else None


@pytest.mark.parametrize(
    ("ours", "outcomes"),
    [
        ((PAUSE, OTHER), [Outcome.PASS, Outcome.PASS]),
        ((PAUSE,), [Outcome.PASS, Outcome.WARN]),
        ((OTHER,), [Outcome.FAIL, Outcome.PASS]),
        ((), [Outcome.FAIL, Outcome.WARN]),
    ],
)
def test_images_of_another_snapshotter(
    ours: tuple[str, ...], outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was pulled before the switch, and has lost its content, cannot be unpacked for us."""
    known = {("k8s.io", f"top {name}"): (name,) for name in ours}
    monkeypatch.setattr(containerd, "open_content", lambda _: _Content((PAUSE, OTHER)))
    monkeypatch.setattr(containerd, "read_records", lambda *_: ContainerdRecords((), (), known))
    found = list(containerd.check_images("/c", "cvmfs-snapshotter", PLATFORM))

    assert ["pause-image", "other-images"] == [result.name for result in found]
    assert outcomes == [result.outcome for result in found]
    if PAUSE not in ours:
        assert (f"crictl rmi {PAUSE} && crictl pull {PAUSE}",) == tuple(found[0].mend)


def test_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are named, the others counted."""
    content = _Content(tuple(f"r.io/a{number}:1" for number in range(8)))
    monkeypatch.setattr(containerd, "open_content", lambda _: content)
    monkeypatch.setattr(containerd, "read_records", lambda *_: ContainerdRecords((), (), {}))
    found = list(containerd.check_images("/c", "x", PLATFORM))[1]
    assert "8 images" in found.what
    assert found.what.endswith("r.io/a4:1 and 3 more")
    assert 5 == len(found.mend)


def test_without_containerds_records(tmp_path: Path) -> None:
    """It is said that nothing is known."""
    (found,) = containerd.check_images(str(tmp_path), "x", PLATFORM)
    assert Outcome.WARN == found.outcome
    assert "--containerd-root" in found.what


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("manifest", [_Content(()).manifest, b"none"], ids=["manifest", "none"])
def test_images_that_can_still_be_unpacked(
    complete: bool, manifest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all of their content there, the CRI does so when a container needs them."""
    content = _Content((PAUSE, OTHER), complete, manifest)
    monkeypatch.setattr(containerd, "open_content", lambda _: content)
    monkeypatch.setattr(containerd, "read_records", lambda *_: ContainerdRecords((), (), {}))
    found = [result.outcome for result in containerd.check_images("/c", "x", PLATFORM)]

    well = complete and manifest != b"none"
    assert ([Outcome.PASS] * 2 if well else [Outcome.FAIL, Outcome.WARN]) == found
