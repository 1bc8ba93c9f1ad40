"""Bringing a database to the newest schema, and what is never done to it."""

import hashlib
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from cvmfs_snapshotter.adapters.sqlite import DatabaseError, SchemaError, migrate, open_store
from cvmfs_snapshotter.adapters.sqlite.backup import KEEP, back_up
from cvmfs_snapshotter.adapters.sqlite.identifiers import BLOCK
from cvmfs_snapshotter.adapters.sqlite.tables import METADATA
from cvmfs_snapshotter.migrations.run import SCRIPTS, configuration, engine_for
from cvmfs_snapshotter.migrations.run import migrate as run_migration

SCHEMA = Path(__file__).parent / "schema.sql"

NEXT_REVISION = '''
"""Rebuild a table, as most changes do in SQLite."""
import sqlalchemy as sa
from alembic import op
revision = "9000"
down_revision = "{head}"
branch_labels = depends_on = None
def upgrade():
    with op.batch_alter_table("snapshots") as batch:
        batch.add_column(sa.Column("extra", sa.Text))
    {trouble}
def downgrade():
    with op.batch_alter_table("snapshots") as batch:
        batch.drop_column("extra")
'''


def contents(directory: Path) -> dict[str, str]:
    """Give a digest of every file in a directory."""
    files = sorted(p for p in directory.rglob("*") if p.is_file())
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def schema(path: Path) -> str:
    """Give the text of a database's schema."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
        )
        return "".join(f"{row[0]};\n" for row in rows)


def _lines(statement: str) -> list[str]:
    return [line.strip().rstrip(",") for line in statement.splitlines()]


def leave_in_wal(path: Path, statement: str) -> None:
    """Leave a change in the WAL, as a killed daemon does."""
    script = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute(sys.argv[2])\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path), statement], check=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size > 0


def scripts_with(tmp_path: Path, trouble: str = "pass") -> str:
    """Make a directory of revisions with one more than the program has."""
    directory = tmp_path / "scripts"
    (directory / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (directory / name).write_text((Path(str(SCRIPTS)) / name).read_text())
    for revision in (Path(str(SCRIPTS)) / "versions").glob("0*.py"):
        (directory / "versions" / revision.name).write_text(revision.read_text())
    text = NEXT_REVISION.format(head=migrate.REVISIONS[-1], trouble=trouble)
    (directory / "versions" / "9000_next.py").write_text(text)
    return str(directory)


def test_a_new_database_is_private_and_durable(tmp_path: Path) -> None:
    """Nobody but root reads it, and it is in WAL mode from its creation."""
    path = tmp_path / "metadata.sqlite"
    migrate.prepare_database(path)

    assert 0o600 == path.stat().st_mode & 0o777
    with closing(sqlite3.connect(path)) as database:
        assert ("wal",) == database.execute("PRAGMA journal_mode").fetchone()
    assert migrate.REVISIONS[-1] == migrate.revision_of(path)


def test_the_store_syncs_every_commit(database: Path) -> None:
    """What was answered survives a power cut: synchronous is FULL on the writing connection."""
    store = open_store(database)
    try:
        assert (2,) == store._writer.connection.execute("PRAGMA synchronous").fetchone()
    finally:
        store.close()


def test_an_up_to_date_database_is_not_touched(database: Path) -> None:
    """The usual start writes nothing, not even where a WAL was left."""
    leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    before = contents(database.parent)
    migrate.prepare_database(database)

    assert before == contents(database.parent)


@pytest.mark.parametrize("size", [20, 32, 33, 1000])
def test_a_wal_that_was_just_begun_says_nothing(database: Path, size: int) -> None:
    """A daemon that was killed at its first write leaves no more of it; the next one starts."""
    index = database.with_name(f"{database.name}-shm")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("SELECT * FROM sources").fetchall()
        before = index.read_bytes()
    leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    wal = database.with_name(f"{database.name}-wal")
    wal.write_bytes(wal.read_bytes()[:size])
    index.write_bytes(before)
    migrate.prepare_database(database)

    store = open_store(database)
    try:
        assert {} == store.read(lambda r: r.source_paths())
    finally:
        store.close()


def test_the_usual_start_does_without_alembic(database: Path) -> None:
    """It costs more time than the rest of the start."""
    script = (
        "import sys, pathlib\n"
        "from cvmfs_snapshotter.adapters.sqlite import migrate, open_store\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "migrate.prepare_database(path)\n"
        "open_store(path).close()\n"
        "sys.exit('alembic' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(database)], check=True)


def test_the_constant_names_every_revision_in_order() -> None:
    """The program compares with it instead of asking Alembic; there is one head."""
    scripts = ScriptDirectory.from_config(configuration())
    found = [script.revision for script in scripts.walk_revisions()]

    assert list(migrate.REVISIONS) == found[::-1]
    assert [migrate.REVISIONS[-1]] == list(scripts.get_heads())


def test_tables_and_revisions_agree(database: Path) -> None:
    """What the revisions make is what the program's tables say."""
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [] == compare_metadata(context, METADATA)
    engine.dispose()


def test_the_text_of_the_schema_is_the_stored_one(database: Path, tmp_path: Path) -> None:
    """Comparing tables does not see a lost CHECK or the condition of an index; the text does."""
    assert SCHEMA.read_text() == schema(database)
    other = tmp_path / "made.sqlite"
    engine = sa.create_engine(f"sqlite:///{other}", poolclass=sa.pool.NullPool)
    METADATA.create_all(engine)
    engine.dispose()
    # In which order a table's constraints stand makes no difference.
    made = {frozenset(_lines(part)) for part in schema(other).split(";\n")}
    migrated = {frozenset(_lines(part)) for part in schema(database).split(";\n")}
    assert 1 == len(migrated - made)
    assert "alembic_version" in str(migrated - made)
    assert set() == made - migrated


def test_up_down_and_up_again_gives_the_same(tmp_path: Path) -> None:
    """Every revision can be undone; nothing of it stays."""
    path = tmp_path / "metadata.sqlite"
    run_migration(path, "upgrade", "head")
    first = schema(path)
    run_migration(path, "downgrade", "base")

    assert "snapshots" not in schema(path)
    run_migration(path, "upgrade", "head")
    assert first == schema(path)


@pytest.mark.parametrize("with_wal", [False, True])
def test_a_newer_database_is_refused_and_left_alone(database: Path, *, with_wal: bool) -> None:
    """Every byte of its files stays; the message says what is to be done."""
    statement = "UPDATE alembic_version SET version_num = '9999'"
    if with_wal:
        leave_in_wal(database, statement)
    else:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute(statement)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = contents(database.parent)

    with pytest.raises(SchemaError, match=r"'9999'.*newer release.*left as it is"):
        migrate.prepare_database(database)
    assert before == contents(database.parent)


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be one" * 50, b"SQLite format 3\0" * 100]
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """It is neither deleted nor overwritten, and the message names the way on."""
    path = tmp_path / "metadata.sqlite"
    path.write_bytes(content)

    with pytest.raises(DatabaseError, match=r"left as it is.*backups"):
        migrate.prepare_database(path)
    assert content == path.read_bytes()


@pytest.mark.parametrize("suffixes", [("-wal",), ("-wal", "-shm")])
@pytest.mark.parametrize("content", [None, b""])
def test_a_lost_database_is_not_started_empty(
    database: Path, suffixes: tuple[str, ...], content: bytes | None
) -> None:
    """Where only its WAL is left, somebody took the wrong file away; SQLite would delete that."""
    leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    for suffix in {"-wal", "-shm"}.difference(suffixes):
        database.with_name(database.name + suffix).unlink()
    database.unlink()
    if content is not None:
        database.write_bytes(content)
    before = contents(database.parent)

    with pytest.raises(DatabaseError, match=r"missing or empty.*bring .* back"):
        migrate.prepare_database(database)
    assert before == contents(database.parent)


def test_a_wal_without_its_index_is_read(database: Path) -> None:
    """Files that were copied by hand come without it, and are looked at just as carefully."""
    leave_in_wal(database, "UPDATE alembic_version SET version_num = '9999'")
    database.with_name(f"{database.name}-shm").unlink()
    before = contents(database.parent)

    with pytest.raises(SchemaError, match="'9999'"):
        migrate.prepare_database(database)
    assert before == contents(database.parent)


@pytest.mark.parametrize("with_wal", [False, True])
def test_damage_inside_is_found_before_anything_is_served(
    database: Path, *, with_wal: bool
) -> None:
    """A database that opens but is not sound is refused, and every byte of it stays."""
    if with_wal:
        leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    with closing(sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'snapshots'"
        page = connection.execute(query).fetchone()[0]
    with database.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 200)
    before = contents(database.parent)

    with pytest.raises(DatabaseError, match=r"left as it is.*backups"):
        migrate.prepare_database(database)
    assert before == contents(database.parent)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """Tables of another program are not taken over."""
    path = tmp_path / "metadata.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    before = contents(tmp_path)

    with pytest.raises(DatabaseError, match="left as it is"):
        migrate.prepare_database(path)
    assert before == contents(tmp_path)


def test_a_database_without_a_version_is_refused(database: Path) -> None:
    """A record of the schema that is empty says nothing."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    with pytest.raises(DatabaseError, match="does not say which schema"):
        migrate.prepare_database(database)


def test_several_at_once_make_one_database(tmp_path: Path) -> None:
    """The first one migrates, the others find it done."""
    path = tmp_path / "metadata.sqlite"
    errors: list[Exception] = []

    def prepare() -> None:
        try:
            migrate.prepare_database(path)
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors
    assert migrate.REVISIONS[-1] == migrate.revision_of(path)


def test_a_failing_migration_changes_nothing(database: Path, tmp_path: Path) -> None:
    """Tables, rows and revision are as before, though the revision had rebuilt a table."""
    leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    before = schema(database)
    config = configuration(scripts_with(tmp_path, 'op.execute("SELECT * FROM nowhere")'))

    with pytest.raises(sa.exc.OperationalError, match="nowhere"):
        run_migration(database, "upgrade", "head", config)
    assert before == schema(database)
    assert migrate.REVISIONS[-1] == migrate.revision_of(database)
    with closing(sqlite3.connect(database)) as connection:
        assert [("s", "/p")] == connection.execute("SELECT * FROM sources").fetchall()


def test_a_failing_child_is_reported_with_the_backup(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator hears what failed, that nothing changed, and where the backup is."""
    monkeypatch.setattr(migrate, "REVISIONS", (*migrate.REVISIONS, "unknown"))

    with pytest.raises(SchemaError, match=r"left as it is: .*A backup is .*\.bak"):
        migrate.prepare_database(database)
    assert migrate.REVISIONS[0] == migrate.revision_of(database)


def test_a_migration_keeps_rows_and_identifiers(database: Path, tmp_path: Path) -> None:
    """A rebuilt table has its rows, and the next identifier is above any given before."""
    store = open_store(database)
    given = [store.new_identifier() for _ in range(BLOCK + 3)]
    store.close()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO snapshots (id, name, parent_id, kind, local, created_at, updated_at, "
            "labels, target, staged) VALUES (?, 'n', 0, 'active', 1, 1, 1, '{}', '', 0)",
            [given[-1]],
        )
    config = configuration(scripts_with(tmp_path))
    for direction, revision in (("upgrade", "9000"), ("downgrade", migrate.REVISIONS[-1])):
        run_migration(database, direction, revision, config)
    store = open_store(database)
    try:
        assert store.new_identifier() > max(given)
        found = store.read(lambda r: r.get("n"))
    finally:
        store.close()
    assert found is not None
    assert given[-1] == found.identifier


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identifiers SET next = 1",
        "UPDATE identifiers SET next = next - 1",
        "INSERT INTO tombstones SELECT next FROM identifiers",
        "INSERT INTO strangers SELECT next FROM identifiers",
        "INSERT INTO companions SELECT next, NULL, 1, 1 FROM identifiers",
    ],
)
def test_a_migration_that_would_give_identifiers_twice_is_undone(
    database: Path, tmp_path: Path, statement: str
) -> None:
    """A new snapshot would find itself in the directory of an old one."""
    store = open_store(database)
    store.new_identifier()
    store.close()
    before = migrate.revision_of(database)
    config = configuration(scripts_with(tmp_path, f'op.execute("{statement}")'))

    with pytest.raises(RuntimeError, match="have been given"):
        run_migration(database, "upgrade", "head", config)
    assert before == migrate.revision_of(database)


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    """The state directory is the operator's choice."""
    path = tmp_path / "a b?mode=memory&x#%20" / "metadata.sqlite"
    path.parent.mkdir()
    migrate.prepare_database(path)
    store = open_store(path)
    store.write(lambda t: t.keep_source_path("s", "/p"))
    store.close()

    assert migrate.REVISIONS[-1] == migrate.revision_of(path)
    assert path.name in {file.name for file in path.parent.iterdir()}


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    """It is not made here: a typing error must not start an empty daemon."""
    with pytest.raises(DatabaseError, match="cannot be opened"):
        migrate.prepare_database(tmp_path / "none" / "metadata.sqlite")


def test_a_downgrade_makes_a_backup_first(database: Path) -> None:
    """The operator can go back to an older release, and back again."""
    backup = migrate.downgrade(database, migrate.REVISIONS[0])

    assert migrate.REVISIONS[-1] == migrate.revision_of(backup)
    with pytest.raises(SchemaError, match="no schema 'x'"):
        migrate.downgrade(database, "x")


def test_a_backup_has_what_is_still_in_the_wal(database: Path, tmp_path: Path) -> None:
    """A copy of the file would lack it; a backup is private and complete."""
    leave_in_wal(database, "INSERT INTO sources VALUES ('s', '/p')")
    backup = back_up(database, tmp_path / "backups", "0001")

    with closing(sqlite3.connect(backup)) as connection:
        assert [("s", "/p")] == connection.execute("SELECT * FROM sources").fetchall()
    assert 0o600 == backup.stat().st_mode & 0o777
    assert 0o700 == backup.parent.stat().st_mode & 0o777


def test_what_a_killed_backup_left_goes(database: Path, tmp_path: Path) -> None:
    """Half a copy is of no use to anybody."""
    directory = tmp_path / "backups"
    directory.mkdir()
    (directory / f"{database.name}.0001.20200101T000000.000000Z.part").write_bytes(b"half")
    (directory / f"{database.name}.0001.20200101T000000.000000Z.part-journal").write_bytes(b"x")

    assert [back_up(database, directory, "0001")] == list(directory.iterdir())


def test_old_backups_go(database: Path, tmp_path: Path) -> None:
    """The newest ones are kept."""
    made = [back_up(database, tmp_path / "backups", "0001") for _ in range(KEEP + 2)]

    assert sorted(made[2:]) == sorted((tmp_path / "backups").iterdir())


def test_a_damaged_database_is_not_backed_up_as_if_it_were_whole(
    database: Path, tmp_path: Path
) -> None:
    """Such a copy would push the good ones out."""
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200)

    with pytest.raises(DatabaseError, match="left as it"):
        back_up(database, tmp_path / "backups", "0001")
    assert [] == list((tmp_path / "backups").iterdir())


def test_rows_that_refer_to_nothing_stop_a_migration(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check before the commit takes everything back."""
    trouble = (
        'op.execute("CREATE TABLE child (p REFERENCES sources(name))")\n'
        "    op.execute(\"INSERT INTO child VALUES ('none')\")"
    )
    config = configuration(scripts_with(tmp_path, trouble))

    with pytest.raises(RuntimeError, match="refer to nothing"):
        run_migration(database, "upgrade", "head", config)
    assert "child" not in schema(database)


def test_alembic_finds_nothing_to_do(database: Path) -> None:
    """Its own check agrees that models and revisions are the same."""
    engine = engine_for(database)
    config = configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.check(config)
    engine.dispose()
