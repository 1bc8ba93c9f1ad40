"""The import contracts in pyproject.toml, each broken once on purpose.

A contract that names a module wrongly, or leaves one out, passes in silence. So one scratch copy
of the tree is checked as it is, and a second one in which every rule is violated by a module of
its own.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("adapters", "domain", "entrypoints", "migrations", "proto", "src")

INWARDS = "Dependencies point inwards"
PURE = "The domain is pure"
GRPC = "Only the entrypoints speak gRPC"
APART = "Adapters do not import one another"
NAMES = "No module is imported by its folder name, and no test by the product"

IMPURE = [
    "alembic",
    "google",
    "grpc",
    "opentelemetry",
    "sqlalchemy",
    "structlog",
    "asyncio",
    "concurrent",
    "ctypes",
    "datetime",
    "fcntl",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
]
SUBMODULES = {
    "google": "google.protobuf",
    "concurrent": "concurrent.futures",
    "http": "http.client",
}

PACKAGE = "cvmfs_snapshotter"
SNAPSHOTS = f"{PACKAGE}.proto.containerd.services.snapshots.v1.snapshots_pb2"

# (contract, file that breaks it, what it imports, what the report names)
SEEDS = [
    (INWARDS, "domain/seed_up.py", f"{PACKAGE}.adapters.seed_one", None),
    (INWARDS, "domain/seed_top.py", f"{PACKAGE}.entrypoints.seed_top", None),
    (INWARDS, "domain/seed_proto.py", SNAPSHOTS, None),
    (INWARDS, "adapters/seed_up.py", f"{PACKAGE}.entrypoints.seed_top", None),
    (INWARDS, "adapters/seed_schema.py", f"{PACKAGE}.migrations.seed_schema", None),
    (GRPC, "domain/seed_proto.py", SNAPSHOTS, None),
    (GRPC, "adapters/seed_grpc.py", "grpc", None),
    (GRPC, "adapters/seed_google.py", "google.protobuf.message", "google"),
    (GRPC, "adapters/seed_pack/inner.py", SNAPSHOTS, None),
    (GRPC, "migrations/seed_schema.py", "grpc", None),
    (APART, "adapters/seed_one.py", f"{PACKAGE}.adapters.seed_two", None),
    (APART, "adapters/seed_pack/inner.py", f"{PACKAGE}.adapters.seed_two", None),
    (APART, "adapters/probes/seed.py", f"{PACKAGE}.adapters.layers.seed", None),
    (APART, "adapters/layers/seed.py", f"{PACKAGE}.adapters.probes.seed_worker", None),
    (NAMES, "domain/seed_names.py", "adapters.seed_one", "adapters"),
    (NAMES, "adapters/seed_names.py", "domain.seed_names", "domain"),
    (NAMES, "migrations/seed_names.py", "entrypoints.seed_top", "entrypoints"),
    (NAMES, "entrypoints/seed_names.py", "migrations.seed_schema", "migrations"),
    (NAMES, "entrypoints/seed_proto_name.py", "proto.containerd", "proto"),
    (NAMES, "entrypoints/seed_tests.py", "tests.conftest", "tests"),
    *(
        (PURE, f"domain/seed_impure_{name}.py", SUBMODULES.get(name, name), name)
        for name in IMPURE
    ),
]

# (file, what it may import although a contract looks forbidding)
ALLOWED = [
    ("entrypoints/seed_grpc.py", "grpc"),
]

# Imported by the seeds above.
BYSTANDERS = [
    "adapters/seed_two.py",
    "adapters/probes/seed_worker.py",
    "entrypoints/seed_top.py",
]


def copy_tree(target: Path) -> None:
    """Copy what lint-imports reads; the links in src/ stay links, now into the copy."""
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder,
            target / folder,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    shutil.copy(ROOT / "pyproject.toml", target)


def add_import(tree: Path, file: str, module: str) -> None:
    """Append an import to a file of the tree, and make the file where there is none."""
    path = tree / file
    # A module may become a package in time, and the other way round; a seed fits both.
    if path.parent.with_suffix(".py").exists():
        path.parent.with_suffix(".py").unlink()
    if path.with_suffix("").is_dir():
        path = path.with_suffix("") / "__init__.py"
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    with path.open("a") as handle:
        handle.write(f"\nimport {module}\n" if module else "\n")


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run lint-imports in a copy, on the modules of that copy."""
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src"), "COLUMNS": "300", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def section(report: str, contract: str) -> str:
    """The part of a report that says how a contract is broken; empty when it is kept."""
    broken = report.partition("Broken contracts")[2]
    found = re.search(
        rf"^{re.escape(contract)}\n-+\n(.*?)(?=^\S[^\n]*\n-{{3,}}\n|\Z)",
        broken,
        re.MULTILINE | re.DOTALL,
    )
    return found[1] if found else ""


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Report on a copy of the tree with all violations in it."""
    tree = tmp_path_factory.mktemp("seeded")
    copy_tree(tree)
    for file in BYSTANDERS:
        add_import(tree, file, "")
    for file, module in ALLOWED:
        add_import(tree, file, module)
    for _, file, module, _ in SEEDS:
        add_import(tree, file, module)
    (tree / "src" / PACKAGE / "seed_unplaced.py").touch()
    result = lint_imports(tree)

    assert 1 == result.returncode, result.stdout + result.stderr

    return result.stdout


def test_the_tree_keeps_all_contracts(tmp_path: Path) -> None:
    """The tree as it is breaks no contract."""
    copy_tree(tmp_path)
    result = lint_imports(tmp_path)

    assert 0 == result.returncode, result.stdout + result.stderr
    assert "5 kept, 0 broken." in result.stdout


@pytest.mark.parametrize(
    ("contract", "file", "module", "named"),
    SEEDS,
    ids=[f"{contract}: {file}" for contract, file, _, _ in SEEDS],
)
def test_a_violation_is_reported(
    seeded: str, contract: str, file: str, module: str, named: str | None
) -> None:
    """A contract reports the module that breaks it together with what the module imports."""
    importer = f"{PACKAGE}.{file.removesuffix('.py').replace('/', '.')}"

    assert f"{importer} -> {named or module} (l." in section(seeded, contract)


def test_a_new_layer_has_to_be_placed(seeded: str) -> None:
    """A module beside the layers belongs to none of them, which is reported."""
    assert "seed_unplaced" in section(seeded, INWARDS)


@pytest.mark.parametrize(("file", "module"), ALLOWED)
def test_an_exception_is_not_reported(seeded: str, file: str, module: str) -> None:
    """What the contracts allow on purpose is in no report."""
    importer = f"{PACKAGE}.{file.removesuffix('.py').replace('/', '.')}"

    assert f"{importer} -> {module} (" not in seeded


def test_the_package_itself_imports_nothing() -> None:
    """Importing the package costs nothing: the probe processes do it at every start."""
    code = (
        "import sys; before = set(sys.modules); import cvmfs_snapshotter; "
        "print(*sorted(set(sys.modules) - before))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert ["cvmfs_snapshotter"] == result.stdout.split()
