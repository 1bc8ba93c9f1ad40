"""containerd: that it runs, is configured for us, and sees the sources where we say they are."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from cvmfs_snapshotter.adapters.bolt import ContainerdError, Content, open_content, read_records
from cvmfs_snapshotter.adapters.layers.inspection import identify
from cvmfs_snapshotter.adapters.layers.prober import Prober
from cvmfs_snapshotter.adapters.layers.settings import SourceKind, SourceSettings
from cvmfs_snapshotter.domain.containerd import KUBERNETES
from cvmfs_snapshotter.domain.layer import Digest, Miss
from cvmfs_snapshotter.domain.references import Reference

from ..containerd_config.check import check
from ..containerd_config.reading import UnreadableError, read
from ..containerd_config.releases import RELEASES, Pull, Release
from ..containerd_config.wanted import Wanted
from ..explain.images import manifest_of
from .elsewhere import ElsewhereError, read_elsewhere
from .mounts import mount_for, mounts_of
from .result import Result, failure, passed, quoted, warning

DEFAULT_CONFIG = "/etc/containerd/config.toml"

_PROCESSES = Path("/proc")
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.\d+")
_RANCHERS = (
    "k3s and rke2 write this file at each start: docs/kubernetes.md says where the lines belong"
)
_SECONDS = 10.0
_GUESSING = frozenset({"2.1.0", "2.1.1"})
"""Versions that take a differ that cannot unpack, if none is named; of a file alone only the
release is known."""
_MOST_SHOWN = 5


@attrs.frozen
class Process:
    """A containerd that runs.

    Attributes:
        pid: its number.
        config: its configuration file.
        release: which it is; None if that is not known, or it is one that we do not know.
        version: as it says itself; empty if it does not.
        apart: whether it has a mount namespace of its own, as in a container.
    """

    pid: str
    config: str
    release: Release | None
    version: str
    apart: bool = False


def find_processes(processes: Path = _PROCESSES) -> list[Process]:
    """Find every containerd that runs.

    Args:
        processes: where processes are found.
    """
    found = sorted(processes.iterdir(), key=lambda entry: (len(entry.name), entry.name))
    return [
        process_of(entry.name, processes)
        for entry in found
        if entry.name.isdecimal() and _text(entry / "comm").strip() == "containerd"
    ]


def process_of(pid: str, processes: Path = _PROCESSES) -> Process:
    """Look at one process.

    Args:
        pid: its number.
        processes: where processes are found.
    """
    entry = processes / pid
    arguments = _text(entry / "cmdline").split("\0")[1:]
    version = _version(entry / "exe")
    apart = _namespace(entry) != _namespace(processes / "self")
    return Process(pid, _config_in(arguments), _release(version), version, apart)


def _config_in(arguments: Sequence[str]) -> str:
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in {"--config", "-config", "--c", "-c"}:
            return value if equals else "".join(arguments[place + 1 : place + 2])
    return DEFAULT_CONFIG


def _version(program: Path) -> str:
    try:
        said = subprocess.run(  # noqa: S603 - it is the program that runs as root already
            [str(program), "--version"], capture_output=True, timeout=_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    found = _VERSION.search(said.decode(errors="replace"))
    return found[0].removeprefix("v") if found else ""


def _release(version: str) -> Release | None:
    return RELEASES.get(".".join(version.split(".")[:2]))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


def check_running(processes: Sequence[Process]) -> Result:
    """Tell whether a containerd runs whose release is known."""
    name = "containerd"
    if not processes:
        return failure(name, "no containerd runs here", "systemctl start containerd")
    if len(processes) > 1:
        which = ", ".join(f"{p.version or 'unknown'} (process {p.pid})" for p in processes)
        return warning(
            name,
            f"several run: {which}; all of them are looked at",
            *(f"cvmfs-snapshotter doctor --containerd-pid {p.pid}" for p in processes),
            advice=("name the one that is to use the snapshotter; the others do not matter",),
        )
    one = processes[0]
    if one.release is None:
        return warning(
            name,
            f"{one.version or 'an unknown version'} runs; releases from {next(iter(RELEASES))} to "
            f"{list(RELEASES)[-1]} are known",
            advice=("look whether a newer cvmfs-snapshotter knows it",),
        )
    return passed(name, f"{one.version} runs, as process {one.pid}")


def check_config(
    process: Process, address: str, root: str, platform: str, processes: Path = _PROCESSES
) -> Iterator[Result]:
    """Judge the configuration of a containerd.

    Args:
        process: that containerd.
        address: socket of the daemon.
        root: state directory of the daemon.
        platform: of the machine.
        processes: where processes are found.
    """
    name = "containerd-config"
    release = process.release
    if release is None:
        yield warning(
            name,
            f"{process.config} cannot be judged: the release is not known",
            advice=("look whether a newer cvmfs-snapshotter knows it",),
        )
        return
    command = (
        f"cvmfs-snapshotter containerd-config --for {release.name}"
        f" --address {quoted(address)} --root {quoted(root)}"
    )
    # It is known here which version of the release it is.
    exact = attrs.evolve(release, guesses_differ=process.version in _GUESSING)
    where, mend, advice = process.config, _setup(process.config, command, Pull.LOCAL), list[str]()
    if "/rancher/" in process.config:
        advice = [_RANCHERS]
    if process.apart:
        where = f"{process.config} of process {process.pid}, in a mount namespace of its own,"
        mend = (command, f"nsenter --target {process.pid} --mount cat {quoted(process.config)}")
        advice = ["have the lines of the first command in that file, and restart that containerd"]
    try:
        documents = (
            read_elsewhere(f"{processes}/{process.pid}/root", process.config, exact)
            if process.apart
            else read(process.config, exact)
        )
    except UnreadableError as error:
        of = f"process {process.pid}, in a mount namespace of its own: " if process.apart else ""
        if not process.apart and Path(process.config).exists():
            # Whatever else is in it must not get lost.
            mend = (f"containerd --config {quoted(process.config)} config dump",)
            advice = ["mend what is named: containerd itself does not start with it either"]
        yield failure(name, f"{of}{error}", *mend, advice=advice)
        return
    except ElsewhereError as error:
        yield warning(name, f"{where} cannot be judged: {error}", *mend, advice=advice)
        return
    report = check(documents, Wanted(exact, address, root, platform))
    for finding in report.findings:
        yield failure(
            f"{name} {finding.name}",
            f"{where.removesuffix(',')}: {finding.problem}",
            *(mend if process.apart else _setup(process.config, command, report.pull)),
            advice=(*([finding.advice] if finding.advice else []), *advice),
        )
    for note in report.notes:
        yield warning(
            name,
            f"{where.removesuffix(',')}: {note}",
            advice=("take that setting away unless it is meant",),
        )
    if not report.findings and not report.notes:
        yield passed(name, f"{where} lets containerd {release.name} use remote layers")


def _setup(config: str, command: str, pull: Pull) -> tuple[str, ...]:
    if "/rancher/" in config:
        return ()
    how = f" --pull {pull.value}" if pull is Pull.TRANSFER else ""
    setup = command.replace("containerd-config", "containerd-setup", 1)
    return (f"{setup}{how} --config {quoted(config)} --apply && systemctl restart containerd",)


def check_view(
    prober: Prober, process: Process, source: SourceSettings, processes: Path = _PROCESSES
) -> Result:
    """Tell whether a containerd sees a source where its mounts will look for it.

    Args:
        prober: puts requests to the probe processes.
        process: that containerd.
        source: the source.
        processes: where processes are found.
    """
    name = f"containerd's view of {source.name}"
    path = source.host_path
    try:
        mounts = mounts_of(process.pid, processes)
    except OSError as error:
        return warning(
            name,
            f"the mounts of process {process.pid}: {error.strerror}",
            advice=("look again: it has ended meanwhile",),
        )
    # Through its root, so that whatever it sees there is what is asked.
    seen = attrs.evolve(source, path=f"{processes}/{process.pid}/root{path}")
    found = identify(prober, seen, source.lookup_deadline)
    if isinstance(found, Miss):
        propagates = mount_for(path, mounts)
        ways = [
            f"nsenter -t {process.pid} -m findmnt --target {path} -o TARGET,FSTYPE,PROPAGATION"
        ]
        if process.apart and propagates is not None and not propagates.shared:
            ways.append(f"mount --make-rshared {quoted(propagates.at)}")
        return failure(name, f"{path}: {found.reason.value}: {found.detail}", *ways)
    where = "in a mount namespace of its own" if process.apart else "in our own mount namespace"
    known = f", revision {found}" if found is not None else ""
    what = source.repository if source.kind is SourceKind.CVMFS else "a directory"
    return passed(name, f"{path} is {what}{known}, {where}")


def _namespace(process: Path) -> str:
    try:
        return os.readlink(process / "ns/mnt")  # noqa: PTH115 - what it says is no path
    except OSError:
        return ""


def check_images(containerd_root: str, snapshotter: str, platform: str) -> Iterator[Result]:
    """Find images of Kubernetes that can be unpacked for nobody.

    The CRI takes an image for present once it has its name. Where it is not unpacked for the
    snapshotter in use, that is done when a container needs it (``internal/cri/opts``), from
    content that may not be there: it was never kept, or the image came from a source for another
    snapshotter. Worst is the image of pods themselves, "pause": without it no pod starts.

    Args:
        containerd_root: containerd's root directory.
        snapshotter: name of the proxy plugin.
        platform: of the machine.
    """
    root = Path(containerd_root)
    try:
        content = open_content(root)
        images = [i for i in content.images() if i.namespace == KUBERNETES]
        known = read_records(root, snapshotter).images
        ours = {
            name for (space, _), names in known.items() if space == KUBERNETES for name in names
        }
        lacking: dict[Digest, str] = {}
        for image in images:
            reference = Reference.parse(image.name)
            if reference is not None and reference.tag and image.name not in ours:
                lacking.setdefault(image.digest, image.name)
        lost = [name for d, name in lacking.items() if not _is_complete(content, d, platform)]
    except ContainerdError as error:
        yield warning(
            "pause-image",
            str(error),
            "containerd config dump | grep '^root'",
            advice=("name that directory with --containerd-root",),
        )
        return
    pauses = [name for name in lost if _is_pause(name)]
    others = [name for name in lost if not _is_pause(name)]
    if pauses:
        yield failure(
            "pause-image",
            f"{_some(pauses)} is not unpacked for us, and its content is not there: no pod starts",
            *_pulls(pauses),
        )
    else:
        yield passed("pause-image", "the image of pods themselves is unpacked, or can be")
    if others:
        yield warning(
            "other-images",
            f"{len(others)} images are not unpacked for us, and their content is not there, so "
            f"that their containers do not start: {_some(others)}",
            *_pulls(others),
        )
    else:
        yield passed("other-images", "all other images are unpacked for us, or can be")


def _is_complete(content: Content, digest: Digest, platform: str) -> bool:
    manifest = manifest_of(content, digest, platform)
    return manifest is not None and all(
        layer.digest is not None and content.size(layer.digest) is not None
        for layer in manifest.layers
    )


def _is_pause(name: str) -> bool:
    reference = Reference.parse(name)
    return reference is not None and reference.repository.rpartition("/")[2].startswith("pause")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _pulls(names: Sequence[str]) -> Iterator[str]:
    for name in names[:_MOST_SHOWN]:
        yield f"crictl rmi {name} && crictl pull {name}"
