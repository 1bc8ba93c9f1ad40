"""The command ``containerd-setup``, with containerd itself."""

import json
import re
from pathlib import Path

import pytest

from cvmfs_snapshotter.entrypoints.cli import main
from cvmfs_snapshotter.entrypoints.cli.containerd_setup import _PULLS, _RELEASES
from cvmfs_snapshotter.entrypoints.containerd_config.releases import RELEASES, Pull
from tests.entrypoints.containerd_setup import samples
from tests.harness import parts

CASES = [
    (release, pull, name) for release, pull in samples.WAYS for name in samples.NAMES[release]
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A place for a configuration, in a directory of its own."""
    directory = tmp_path / "etc"
    directory.mkdir()
    return directory / "config.toml"


def run(config: Path, release: str, *more: str) -> int:
    """Run the command with the containerd of a release."""
    program = parts.find(release).containerd / "containerd"
    where = ("--config", str(config), "--containerd", str(program))
    return main(["containerd-setup", *where, *more])


def left_in(directory: Path) -> list[str]:
    """Name what is in a directory."""
    return [path.name for path in directory.iterdir()]


def test_the_parser_knows_what_there_is() -> None:
    """The parser names releases and ways to pull by itself, so that help imports nothing."""
    assert list(RELEASES) == list(_RELEASES)
    assert [pull.value for pull in Pull] == list(_PULLS)


@pytest.mark.parametrize(("release", "pull", "name"), CASES)
def test_a_usual_file(config: Path, release: str, pull: Pull, name: str) -> None:
    """Shown, applied, applied again, and taken out: the last is the first, byte for byte."""
    text = samples.files(release)[name].encode()
    config.write_bytes(text)
    way = ("--pull", pull.value)

    assert 3 == run(config, release, *way)
    assert [text] == [path.read_bytes() for path in config.parent.iterdir()]
    assert 0 == run(config, release, *way, "--apply")
    once = config.read_bytes()
    checked = ("--for", release, "--pull", pull.value, "--check", str(config))
    assert 0 == main(["containerd-config", *checked])
    assert 0 == run(config, release, *way, "--apply")
    assert once == config.read_bytes()
    assert 3 == run(config, release, "--uninstall")
    assert once == config.read_bytes()
    assert 0 == run(config, release, "--uninstall", "--apply")
    assert text == config.read_bytes()
    assert ["config.toml"] == left_in(config.parent)
    assert 0 == run(config, release, "--uninstall", "--apply"), "once more does nothing"


def test_the_difference_is_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --apply one sees what would be changed."""
    config.write_text(samples.KUBEADM)
    run(config, "1.7")

    shown = capsys.readouterr().out
    assert '\n-      snapshotter = "overlayfs" # the default\n' in shown
    assert '\n+      snapshotter = "cvmfs-snapshotter"\n' in shown
    assert shown.endswith("not changed; --apply does it\n")


def test_the_copy(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file as it was stands beside it, until it is that again."""
    config.write_text(samples.KUBEADM)
    run(config, "1.7", "--apply")

    copy = config.with_name("config.toml.before-cvmfs-snapshotter")
    assert samples.KUBEADM == copy.read_text()
    assert f"{copy}: the file as it was\n" in capsys.readouterr().out

    config.write_text(config.read_text() + "# more\n")
    run(config, "1.7", "--uninstall", "--apply")

    assert samples.KUBEADM == copy.read_text(), "the file is another than the copy"
    assert samples.KUBEADM + "# more\n" == config.read_text()


def test_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object says what would be, was, or needed not be done; the status is the same."""
    config.write_text(samples.KUBEADM)
    copy = config.with_name("config.toml.before-cvmfs-snapshotter")
    nothing = {"changes": False, "applied": False, "tried": False, "copy": None}
    todo = {**nothing, "changes": True}
    done = {"changes": True, "applied": True, "tried": True, "copy": str(copy)}
    ours = {"file": str(config), "release": "1.7"}

    def tell(*more: str) -> tuple[int, dict[str, object], str | None]:
        status = run(config, "1.7", "--json", *more)
        told = json.loads(capsys.readouterr().out)
        return status, told, told.pop("difference")

    status, told, difference = tell()
    assert (3, {**ours, **todo}) == (status, told)
    assert samples.KUBEADM == config.read_text()
    assert '\n+      snapshotter = "cvmfs-snapshotter"\n' in (difference or "")
    assert (0, {**ours, **done}, difference) == tell("--apply")
    assert (0, {**ours, **nothing}, None) == tell("--apply")

    gone = {"file": str(config), "release": None}
    status, told, difference = tell("--uninstall")
    assert (3, {**gone, **todo}) == (status, told)
    assert '\n-      snapshotter = "cvmfs-snapshotter"\n' in (difference or "")
    applied = {**todo, "applied": True}
    assert (0, {**gone, **applied}, difference) == tell("--uninstall", "--apply")
    assert samples.KUBEADM == config.read_text()
    assert (0, {**gone, **nothing}, None) == tell("--uninstall", "--apply")


def test_json_without_a_containerd(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That nobody but us has checked the outcome is told to scripts too."""
    flags = ("--for", "2.1", "--config", str(config), "--containerd", "/none/containerd")

    assert 0 == main(["containerd-setup", *flags, "--apply", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (True, False, None) == (told["applied"], told["tried"], told["copy"])


def test_no_file(config: Path) -> None:
    """containerd's defaults are changed by a file of ours alone, which goes when we go."""
    assert 3 == run(config, "2.1")
    assert not config.exists()
    assert 0 == run(config, "2.1", "--apply")
    assert 0 == main(["containerd-config", "--for", "2.1", "--check", str(config)])
    assert 0 == run(config, "2.1", "--apply")
    assert 0 == run(config, "2.1", "--uninstall", "--apply")
    assert [] == left_in(config.parent)


def test_a_file_of_ours_that_somebody_added_to(config: Path) -> None:
    """A second run changes nothing; what they added stays, with the version that it is for."""
    run(config, "2.1", "--apply")
    config.write_text(config.read_text() + "[debug]\n  level = 'info'\n")
    before = config.read_text()

    assert 0 == run(config, "2.1")
    assert before == config.read_text()
    assert 0 == run(config, "2.1", "--address", "/run/other.sock", "--apply")
    assert 'address = "/run/other.sock"' in config.read_text()
    assert 0 == run(config, "2.1", "--uninstall", "--apply")
    assert "version = 3\n[debug]\n  level = 'info'\n" == config.read_text()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("[debug]\n", "version = 2\n# none\n[debug]\n"),
        ("# more\n", "# none\n# more\n"),
        ("[debug\n", "# none\n[debug\n"),
    ],
    ids=["settings", "comment", "broken"],
)
def test_a_file_without_settings_that_somebody_added_to(
    config: Path, text: str, kept: str
) -> None:
    """The version stays only if something is there that is written for it."""
    config.write_text("# none\n")
    run(config, "1.7", "--apply")
    config.write_text(config.read_text() + text)

    assert 0 == run(config, "1.7", "--uninstall", "--apply")
    assert kept == config.read_text()


@pytest.mark.parametrize("edited", ["# theirs\n", "[debug]\n  level = 'info'\n"])
def test_a_template_of_ours_that_somebody_added_to(config: Path, edited: str) -> None:
    """A second run changes nothing, and what they added stays when we go."""
    config.write_text(samples.KUBEADM)
    template = config.with_name("config.toml.tmpl")
    run(template, "1.7", "--apply")
    template.write_text(template.read_text() + edited)
    before = template.read_text()

    assert 0 == run(template, "1.7")
    assert 0 == run(template, "1.7", "--apply")
    assert before == template.read_text()
    assert 0 == run(template, "1.7", "--uninstall", "--apply")
    assert samples.KUBEADM + edited == template.read_text()


def test_another_socket_for_a_file_of_ours_that_somebody_added_to(config: Path) -> None:
    """New lines of ours do not make their lines ours."""
    run(config, "2.1", "--apply")
    config.write_text(config.read_text() + "# theirs\n")

    assert 0 == run(config, "2.1", "--address", "/run/other.sock", "--apply")
    assert 0 == run(config, "2.1", "--uninstall", "--apply")
    assert "# theirs\n" in config.read_text()


def test_our_lines_were_changed(config: Path) -> None:
    """They become the right ones again, also where they are no TOML any more."""
    config.write_text(samples.KUBEADM)
    run(config, "1.7", "--apply")
    right = config.read_text()
    for wrong in ('type = "content"', "type ="):
        config.write_text(right.replace('type = "snapshot"', wrong))

        assert 0 == run(config, "1.7", "--apply")
        assert right == config.read_text()


def without_comments(text: str) -> str:
    """Write a configuration as programs do that read it and write it anew."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("#"))


def test_marks_that_a_program_lost(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While containerd still takes us for its snapshotter, nobody is told that all is done."""
    config.write_text(samples.KUBEADM)
    run(config, "1.7", "--apply")
    lost = without_comments(config.read_text())
    config.write_text(lost)

    assert 1 == run(config, "1.7", "--uninstall", "--apply")
    assert "outside of our marks" in capsys.readouterr().err
    assert lost == config.read_text()
    assert 0 == run(config, "1.7"), "its lines are all there"

    config.write_text(lost.replace('snapshotter = "cvmfs', '# snapshotter = "cvmfs'))
    assert 0 == run(config, "1.7", "--uninstall", "--apply"), "the proxy plugin alone does no harm"


def test_marks_that_were_lost_in_the_other_file(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The drop-in goes only if the file that imports it does not name us."""
    config.write_text(DROP_INS)
    drop_in = config.parent / "conf.d" / "cvmfs.toml"
    drop_in.parent.mkdir()
    where = ("--drop-in", str(drop_in))
    run(config, "2.1", *where, "--apply")
    config.write_text(without_comments(drop_in.read_text()))

    assert 1 == run(config, "2.1", *where, "--uninstall", "--apply")
    assert f"{config} has " in capsys.readouterr().err
    assert drop_in.exists()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{{ x }}\n  snapshotter = "cvmfs-snapshotter"\n', 1),
        ("{{ x }}\n  # snapshotter = 'cvmfs-snapshotter'\n", 0),
        ('[[a]]\n[[a]]\nb = [{ "snapshotter" = "cvmfs-snapshotter" }]\n', 1),
        ("a = " + "[" * 5000, 0),
    ],
    ids=["template", "comment", "array", "deep"],
)
def test_lines_of_others_that_name_us(config: Path, text: str, status: int) -> None:
    """They are found wherever they stand, also in what is no TOML."""
    config.write_text(text)

    assert status == run(config, "1.7", "--uninstall", "--apply")
    assert text == config.read_text()


def test_a_link(config: Path) -> None:
    """A link stays one, and the file behind it is edited."""
    real = config.with_name("real.toml")
    real.write_text(samples.KUBEADM)
    config.symlink_to(real)

    assert 0 == run(config, "1.7", "--apply")
    assert config.is_symlink()
    assert "cvmfs-snapshotter" in real.read_text()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version = 2\n[", "not TOML"),
        ('disabled_plugins = ["cri"]\n', "no version, or version 1"),
        (
            'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n',
            'cri-disabled: .*: remove "io.containerd.grpc.v1.cri" from disabled_plugins',
        ),
        ('version = 2\nimports = ["no.toml"]\n', "no.toml: No such file"),
        ("version = 2\n[plugins.cri]\na = 1\n", "plugin-name"),
        # Only containerd itself finds these.
        ('version = 2\nroot = "x"\n[grpc]\ngid = "text"\n', "config dump failed"),
    ],
)
def test_a_file_that_would_not_do(
    config: Path, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is left as it is, nothing stands beside it, and the reason is told."""
    config.write_text(text)

    assert 1 == run(config, "1.7", "--apply")
    assert text == config.read_text()
    assert ["config.toml"] == left_in(config.parent)
    said = capsys.readouterr().err
    assert f"{config} is left as it is: " in said
    assert re.search(why, said)


def test_an_imported_file_that_takes_it_back(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1.x replaces the whole section of the CRI by that of a later file, which is named."""
    more = config.with_name("gpu.toml")
    more.write_text(samples.KUBEADM)
    config.write_text(samples.KUBEADM.replace("2\n", '2\nimports = ["/etc/none"]\n', 1))
    config.write_text(config.read_text().replace("/etc/none", str(more)))

    assert 1 == run(config, "1.7", "--apply")
    said = capsys.readouterr().err
    assert "cri-snapshotter: " in said
    assert f"it imports {more}" in said


DROP_INS = 'version = 3\nimports = ["conf.d/*.toml"]\n'


def test_a_drop_in(config: Path) -> None:
    """A file that the root file imports has our lines, and the root file none."""
    config.write_text(DROP_INS)
    drop_in = config.parent / "conf.d" / "cvmfs.toml"
    drop_in.parent.mkdir()
    where = ("--drop-in", str(drop_in))

    assert 0 == run(config, "2.1", *where, "--apply")
    assert DROP_INS == config.read_text()
    assert 0 == main(["containerd-config", "--for", "2.1", "--check", str(config)])
    assert 0 == run(config, "2.1", *where, "--uninstall", "--apply")
    assert [] == left_in(drop_in.parent)


@pytest.mark.parametrize(
    ("release", "text", "outcome"),
    [
        ("2.1", "version = 3\n", (1, "is not imported by")),
        ("1.7", "version = 2\n", (2, "replaces the whole section")),
        ("2.1", None, (1, "No such file")),
    ],
)
def test_a_drop_in_that_would_not_do(
    config: Path,
    release: str,
    text: str | None,
    outcome: tuple[int, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has to be imported, by a containerd that merges what it imports."""
    if text is not None:
        config.write_text(text)
    drop_in = config.with_name("cvmfs.toml")
    status, why = outcome

    assert status == run(config, release, "--drop-in", str(drop_in), "--apply")
    assert why in capsys.readouterr().err
    assert not drop_in.exists()


def test_a_template_of_k3s(config: Path) -> None:
    """It begins as the file that was generated, which stays, and goes when we go."""
    generated = "# File generated by k3s. DO NOT EDIT.\n" + samples.KUBEADM
    config.write_text(generated)
    template = config.with_name("config.toml.tmpl")

    assert 0 == run(template, "1.7", "--apply")
    assert "# File generated by k3s" in template.read_text()
    assert "cvmfs-snapshotter" in template.read_text()
    assert generated == config.read_text()
    assert 0 == run(template, "1.7", "--apply")
    assert 0 == run(template, "1.7", "--uninstall", "--apply")
    assert ["config.toml"] == left_in(config.parent)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("config.toml.tmpl", "start k3s or rke2 once"),
        ("none/config.toml", "is this where containerd is configured"),
    ],
)
def test_a_place_where_there_is_nothing(
    config: Path, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and nothing is made."""
    assert 1 == run(config.parent / name, "2.1", "--apply")
    assert why in capsys.readouterr().err
    assert [] == left_in(config.parent)


def test_a_template_with_actions(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes out of it is not known, so that it is left alone."""
    template = config.with_name("config.toml.tmpl")
    template.write_text('{{ template "base" . }}\n')

    assert 1 == run(template, "2.1", "--apply")
    assert "a template with actions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--containerd", "/no/containerd"), "give --for"),
        (("--for", "1.7", "--pull", "transfer"), "Take --pull local"),
        (("--for", "1.7", "--address", "d.sock"), "an absolute path"),
        (("--for", "1.7", "--config", "config.toml"), "an absolute path"),
    ],
)
def test_flags_that_cannot_be_meant(
    flags: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They end with 2."""
    assert 2 == main(["containerd-setup", *flags])
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo containerd github.com/containerd/containerd v3.9.0", "is 3.9; releases 1.6 to 2.4"),
        ("echo nothing", "is nothing; releases"),
        ("exit 3", "--version failed"),
        ('[ "$1" = --version ] && echo v1.7.0 || echo version = 2', "does not make of it"),
        ('[ "$1" = --version ] && echo v1.7.0 || echo [', "printed no TOML"),
    ],
)
def test_a_containerd_that_is_none(
    config: Path, tmp_path: Path, script: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a program says that we do not understand changes no file."""
    program = tmp_path / "containerd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    config.write_text(samples.KUBEADM)
    where = ("--config", str(config), "--containerd", str(program))

    assert 1 == main(["containerd-setup", *where, "--apply"])
    assert why in capsys.readouterr().err
    assert samples.KUBEADM == config.read_text()


def test_without_a_containerd(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --for our own check is enough, and that is said."""
    config.write_text(samples.KUBEADM)
    where = ("--config", str(config), "--containerd", "/no/containerd", "--for", "1.7")

    assert 0 == main(["containerd-setup", *where, "--apply"])
    assert "only our own check was made" in capsys.readouterr().out


def test_a_place_that_cannot_be_written(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The system's reason is told."""
    config.parent.rmdir()
    config.parent.symlink_to("/proc")

    assert 1 == run(config, "2.1", "--apply")
    assert "No such file" in capsys.readouterr().err
