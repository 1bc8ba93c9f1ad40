"""Setting containerd up for us, and undoing that."""

import difflib
import posixpath
import tomllib
from pathlib import Path

import attrs

from ..containerd_config.names import SNAPSHOTTER
from ..containerd_config.releases import Pull
from ..containerd_config.wanted import Wanted
from . import files
from .editing import edit
from .errors import RefusedError
from .judging import judge, try_with
from .naming import names_us
from .regions import Undone, sum_of, undo

_TEMPLATE = ".tmpl"


@attrs.frozen
class Plan:
    """What is to be done with a file.

    Attributes:
        path: the file itself, behind all links.
        before: its text; None if it is not there.
        after: its text to be; None if it is to be taken away.
        original: what it said, or will say, without our lines; None for a file of ours.
    """

    path: Path
    before: str | None
    after: str | None
    original: str | None

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    def difference(self) -> str:
        """Show it as a unified diff."""
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(
                (self.before or "").splitlines(keepends=True),
                (self.after or "").splitlines(keepends=True),
                "/dev/null" if self.before is None else str(self.path),
                "/dev/null" if self.after is None else str(self.path),
            )
        )


def plan_setup(path: str, root: str, wanted: Wanted, pull: Pull) -> Plan:
    """Find out what a file has to become.

    Args:
        path: of the file to be edited. If it is not there, it begins with nothing; the template
            of k3s or rke2 begins as the configuration that was generated beside it.
        root: of the file that containerd reads: the same, or one that imports it.
        wanted: what for.
        pull: how the CRI is to pull images.

    Raises:
        RefusedError: the file cannot be edited, or would not do with the others.
    """
    real = Path(path).resolve()
    if not real.parent.is_dir():
        raise RefusedError(f"{real.parent} is not there: is this where containerd is configured?")
    before = files.load(real)
    text = _beginning(real) if before is None else before
    undone = undo(text)
    # What was added since is an administrator's: the file is known by what it was made with.
    made = sum_of(undone.text) if before is None else undone.made
    after = edit(undone.text, wanted, pull, made=made, version=undone.version)
    if before is not None and _says_the_same(before, after):
        # Only the places of our lines differ: others were added behind them.
        after = before
    judge(root, wanted, {posixpath.abspath(path): after})
    return Plan(real, before, after, undone.text if made is None else None)


def _says_the_same(before: str, after: str) -> bool:
    try:
        return tomllib.loads(before) == tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        return False


def _beginning(path: Path) -> str:
    if path.suffix != _TEMPLATE:
        return ""
    generated = path.with_name("config.toml")
    text = files.load(generated)
    if text is None:
        raise RefusedError(f"{generated} is not there: start k3s or rke2 once, which writes it")
    return undo(text).text


def plan_removal(path: str, root: str) -> Plan:
    """Find out what a file becomes without our lines.

    Args:
        path: of the file.
        root: of the file that containerd reads: the same, or one that imports it.

    Raises:
        RefusedError: one of them cannot be read, its marks were changed, or it names us outside of
            them, so that containerd would start no container once we are gone.
    """
    real = Path(path).resolve()
    plan = _removal(real)
    _refuse_named(path, plan.after)
    if Path(root).resolve() != real:
        _refuse_named(root, files.load(Path(root)))
    return plan


def _removal(path: Path) -> Plan:
    before = files.load(path)
    if before is None:
        return Plan(path, None, None, None)
    undone = undo(before)
    after = None if undone.alone else _with_version(undone)
    return Plan(path, before, after, after)


def _refuse_named(path: str, text: str | None) -> None:
    if text is not None and names_us(text):
        raise RefusedError(
            f'{path} has `snapshotter = "{SNAPSHOTTER}"` outside of our marks, which a program '
            "that writes the file anew takes away: take these lines and the table of the proxy "
            "plugin out by hand, or bring back a copy of the file, and run the command once more"
        )


def _with_version(undone: Undone) -> str:
    """Give what stays of a file: with our version if others wrote their lines for that."""
    try:
        content = tomllib.loads(undone.text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return undone.text
    written_for = undone.version and (content or undone.made is not None)
    if not written_for or "version" in content:
        return undone.text
    return f"version = {undone.version}\n{undone.text}"


def carry_out(plan: Plan, wanted: Wanted | None = None, program: str = "") -> Path | None:
    """Do what is planned, all of it or nothing.

    Args:
        plan: what to do.
        wanted: what for; None if our lines are taken out.
        program: a containerd that is to read the new file before it counts; empty for none.

    Returns:
        The copy of the file as it was, if there is one.

    Raises:
        RefusedError: containerd does not take the file, or somebody else changed it.
        OSError: it cannot be written.
    """
    if plan.after is None:
        if plan.before is not None:
            files.remove(plan.path, plan.before)
        return None
    with files.written(plan.path, plan.after, plan.path) as made:
        if wanted is not None and program:
            try_with(program, str(made), wanted)
        copy = None
        if wanted is not None and plan.before is not None and plan.before == plan.original:
            copy = files.back_up(plan.path, plan.before)
        files.replace(plan.path, made, plan.before)
    if wanted is None:
        files.forget_backups(plan.path, plan.after)
    return copy
