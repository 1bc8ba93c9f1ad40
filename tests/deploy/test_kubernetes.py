"""The manifests and recipes, by what one can tell of them without a cluster."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvmfs_snapshotter.entrypoints.config import load_config
from tests.deploy.host import NODE
from tests.harness.parts import ROOT

DEPLOY = ROOT / "deploy"
MANIFESTS = DEPLOY / "kubernetes"
DAEMON_SETS = ("cvmfs-snapshotter.yaml", "uninstall.yaml")


def objects(name: str) -> list[dict[str, Any]]:
    """All objects of a manifest."""
    return list(yaml.safe_load_all((MANIFESTS / name).read_text()))


def daemon_set(name: str) -> dict[str, Any]:
    """The DaemonSet of a manifest."""
    (found,) = (each for each in objects(name) if each["kind"] == "DaemonSet")
    return found


def pod(name: str) -> dict[str, Any]:
    """The pod of that DaemonSet."""
    found: dict[str, Any] = daemon_set(name)["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("name", DAEMON_SETS)
def test_its_parts_belong_together(name: str) -> None:
    """Selector, namespace, account, volumes and image are those of the first manifest."""
    made = {(each["kind"], each["metadata"]["name"]) for each in objects(DAEMON_SETS[0])}
    found = daemon_set(name)
    (container,) = pod(name)["containers"]

    assert (
        found["spec"]["selector"]["matchLabels"] == found["spec"]["template"]["metadata"]["labels"]
    )
    assert ("Namespace", found["metadata"]["namespace"]) in made
    assert ("ServiceAccount", pod(name)["serviceAccountName"]) in made
    for volume in pod(name)["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in made
    volumes = {volume["name"] for volume in pod(name)["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}
    images = {pod(each)["containers"][0]["image"] for each in DAEMON_SETS}
    assert len(images) == 1


@pytest.mark.parametrize("name", DAEMON_SETS)
def test_what_the_script_needs(name: str) -> None:
    """It gets the node's processes, its root directory and all rights, on every node, at once."""
    (container,) = pod(name)["containers"]
    (host,) = (m for m in container["volumeMounts"] if m["mountPath"] == "/host")

    assert pod(name)["hostPID"] is True, "process 1 is the node's"
    assert pod(name)["hostNetwork"] is True, "the network of pods may come later"
    assert container["securityContext"]["privileged"] is True
    assert "HostToContainer" == host["mountPropagation"], "the node must not see the pod's mounts"
    assert [{"operator": "Exists"}] == pod(name)["tolerations"]
    assert "system-node-critical" == pod(name)["priorityClassName"]
    assert "livenessProbe" not in container
    assert pod(name)["automountServiceAccountToken"] is False


def test_a_node_is_in_one_of_both() -> None:
    """The label that lets it be taken off keeps the installer away."""
    operators = {}
    for name in DAEMON_SETS:
        affinity = pod(name)["affinity"]["nodeAffinity"]
        (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        (expression,) = term["matchExpressions"]
        operators[expression["key"], name] = expression["operator"]

    assert {
        ("cvmfs-snapshotter/remove", "cvmfs-snapshotter.yaml"): "DoesNotExist",
        ("cvmfs-snapshotter/remove", "uninstall.yaml"): "Exists",
    } == operators


def test_one_node_after_the_other() -> None:
    """A version that does not start stops at the first node."""
    strategy = daemon_set(DAEMON_SETS[0])["spec"]["updateStrategy"]

    assert {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}} == strategy


@pytest.mark.parametrize("name", DAEMON_SETS)
def test_commands_and_variables_are_those_of_the_script(name: str) -> None:
    """The recipe puts the script where the manifest calls it; it knows verbs and variables."""
    script = NODE.read_text()
    recipe = (DEPLOY / "container" / "Containerfile").read_text()
    (container,) = pod(name)["containers"]
    commands = (container["command"], container["readinessProbe"]["exec"]["command"])

    for program, verb in commands:
        assert f"COPY deploy/kubernetes/node {program}\n" in recipe
        assert re.search(rf"^    {verb}\)", script, re.MULTILINE)
    for variable in container["env"]:
        assert f"${{{variable['name']}:-" in script
        assert isinstance(variable["value"], str), "YAML takes a bare no for false"


def test_the_settings_are_taken(tmp_path: Path) -> None:
    """The daemon starts with what is in the ConfigMap, and kind's nodes have the same."""
    (settings,) = (o for o in objects(DAEMON_SETS[0]) if o["kind"] == "ConfigMap")
    path = tmp_path / "config.toml"
    path.write_text(settings["data"]["config.toml"])
    config = load_config(str(path))

    assert ["/cvmfs/unpacked.cern.ch"] == [source.path for source in config.sources]
    of_kind = (DEPLOY / "kind" / "config.toml").read_text()
    assert tomllib.loads(of_kind) == tomllib.loads(path.read_text())


def test_the_cluster_of_kind() -> None:
    """Each of its nodes sees the machine's CVMFS, with what is mounted there later."""
    cluster = yaml.safe_load((DEPLOY / "kind" / "cluster.yaml").read_text())
    mount = {"hostPath": "/cvmfs", "containerPath": "/cvmfs", "propagation": "HostToContainer"}

    assert ("Cluster", "kind.x-k8s.io/v1alpha4") == (cluster["kind"], cluster["apiVersion"])
    assert [[mount], [mount]] == [node["extraMounts"] for node in cluster["nodes"]]


@pytest.mark.parametrize("name", ["container", "kind"])
def test_what_a_recipe_copies_is_there(name: str) -> None:
    """Its files are in the checkout, and every other stage that it copies from is in it."""
    text = (DEPLOY / name / "Containerfile").read_text().replace("\\\n", " ")
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    copies = re.findall(r"^COPY (?:--from=(\S+) )?(\S+) \S+$", text, re.MULTILINE)

    assert copies
    for stage, source in copies:
        assert stage in stages if stage else (ROOT / source).exists()


@pytest.mark.parametrize(
    "path", [NODE, *sorted((DEPLOY / "container").glob("make-*"))], ids=lambda path: path.name
)
def test_the_scripts_are_posix(path: Path) -> None:
    """A shell that knows nothing else can read them."""
    done = subprocess.run(("dash", "-n", path), capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert path.stat().st_mode & 0o111
