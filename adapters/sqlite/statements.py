"""Every statement, built with SQLAlchemy and compiled once.

Compiling a statement costs more than running it, so the text is kept and given to the driver.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from .tables import (
    COMPANIONS,
    IDENTIFIERS,
    LAYERS,
    SNAPSHOTS,
    SOURCES,
    STRANGERS,
    TOMBSTONES,
    WISHES,
)

_DIALECT = sqlite.dialect(paramstyle="named")
_PARENT = SNAPSHOTS.alias("parent")
_S = SNAPSHOTS.c
# Written out: a value would become a parameter of its own.
_NONE: sa.ColumnElement[int] = sa.literal_column("0")
_ONE: sa.ColumnElement[int] = sa.literal_column("1")
_PARENT_NAME = sa.func.coalesce(_PARENT.c.name, sa.literal_column("''")).label("parent")


def _text(statement: sa.sql.ClauseElement) -> str:
    compiled = statement.compile(dialect=_DIALECT)
    if any(value is not None for value in compiled.params.values()):
        raise AssertionError(f"a value in {compiled} is missing from its text")
    return str(compiled)


def _p(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name)


_COLUMNS = (*_S, _PARENT_NAME, COMPANIONS.c.above, COMPANIONS.c.below)


def _with_others(snapshots: sa.FromClause) -> sa.Join:
    return snapshots.outerjoin(_PARENT, _PARENT.c.id == _S.parent_id).outerjoin(
        COMPANIONS, COMPANIONS.c.number == _S.companion
    )


def _snapshots(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(*_COLUMNS).select_from(_with_others(SNAPSHOTS)).where(*where)


GET = _text(_snapshots(_S.name == _p("name")))
_REMOTE = sa.and_(
    _S.parent_id == _p("parent_id"),
    _S.target == _p("target"),
    _S.local == _NONE,
    _S.staged == _NONE,
)
GET_WITH_REMOTE = _text(_snapshots(sa.or_(_S.name == _p("name"), _REMOTE)))


def _chain() -> str:
    below = sa.select(_S.id, _S.parent_id, sa.literal_column("0").label("depth")).where(
        _S.id == _p("id")
    )
    chain = below.cte("chain", recursive=True)
    further = SNAPSHOTS.alias("further")
    chain = chain.union_all(
        sa.select(further.c.id, further.c.parent_id, chain.c.depth + sa.literal_column("1")).where(
            further.c.id == chain.c.parent_id
        )
    )
    joined = _with_others(chain.join(SNAPSHOTS, _S.id == chain.c.id))
    return _text(sa.select(*_COLUMNS).select_from(joined).order_by(chain.c.depth))


CHAIN = _chain()
HAS_CHILDREN = _text(sa.select(_ONE).where(_S.parent_id == _p("id")).limit(_ONE).offset(_NONE))
IDENTIFIER_OF = _text(sa.select(_S.id).where(_S.name == _p("name")))


def page(*, local: bool, parent: bool, target: bool, name: bool) -> str:
    """Give the statement for one page of a listing: of local or of remote snapshots.

    Args:
        local: which of the two.
        parent: whether the number of the parent is given as ``parent_id``.
        target: whether the target is given as ``target``.
        name: whether the name is given as ``name``.
    """
    which: sa.ColumnElement[int] = _S.local
    if target and not parent:
        # The plus keeps SQLite from walking along the order of the listing for one that fits.
        which = sa.literal_column("+snapshots.local")
    statement = _snapshots(which == (_ONE if local else _NONE), _S.id > _p("after"))
    if parent:
        statement = statement.where(_S.parent_id == _p("parent_id"))
    if target:
        statement = statement.where(_S.target == _p("target"))
    if name:
        statement = statement.where(_S.name == _p("name"))
    return _text(statement.order_by(_S.id).limit(_p("limit")).offset(_NONE))


PAGES = {
    (local, parent, target, name): page(local=local, parent=parent, target=target, name=name)
    for local in (False, True)
    for parent in (False, True)
    for target in (False, True)
    for name in (False, True)
}
_NAMED = SNAPSHOTS.alias("named")
_NUMBER_OF_PARENT = sa.case(
    (_p("parent") == sa.literal_column("''"), _NONE),
    else_=sa.select(_NAMED.c.id).where(_NAMED.c.name == _p("parent")).scalar_subquery(),
)
PAGE_OF_TARGET = _text(
    _snapshots(
        _S.target == _p("target"),
        _S.parent_id == _NUMBER_OF_PARENT,
        sa.tuple_(_S.local, _S.id) > sa.tuple_(_p("local"), _p("after")),
    )
    .order_by(_S.local, _S.id)
    .limit(_p("limit"))
    .offset(_NONE)
)
_SOURCE = sa.func.coalesce(_S.source, sa.literal_column("''"))
CENSUS = _text(sa.select(_S.kind, _SOURCE, sa.func.count()).group_by(_S.kind, _SOURCE))
TOMBSTONES_COUNTED = _text(sa.select(sa.func.count()).select_from(TOMBSTONES))
UNMEASURED = _text(
    sa.select(_S.id)
    .where(_S.size.is_(None), _S.kind == sa.literal_column("'committed'"))
    .order_by(_S.id)
    .limit(_p("limit"))
    .offset(_NONE)
)
TOMBSTONES_AFTER = _text(
    sa.select(TOMBSTONES.c.id)
    .where(TOMBSTONES.c.id > _p("after"))
    .order_by(TOMBSTONES.c.id)
    .limit(_p("limit"))
    .offset(_NONE)
)
STRANGERS_KNOWN = _text(sa.select(STRANGERS.c.id).order_by(STRANGERS.c.id))
_ASKED = sa.func.json_each(_p("identifiers")).table_valued("value")
UNRECORDED = _text(
    sa.select(_ASKED.c.value).where(
        ~sa.exists().where(_S.id == _ASKED.c.value),
        ~sa.exists().where(TOMBSTONES.c.id == _ASKED.c.value),
        ~sa.exists().where(STRANGERS.c.id == _ASKED.c.value),
    )
)
HIGHEST_IDENTIFIER = _text(
    sa.select(
        # With several arguments it is SQLite's scalar function, which gives NULL for any NULL.
        sa.func.max(
            *(
                sa.func.coalesce(sa.select(sa.func.max(column)).scalar_subquery(), _NONE)
                for column in (
                    SNAPSHOTS.c.id,
                    TOMBSTONES.c.id,
                    STRANGERS.c.id,
                    COMPANIONS.c.number,
                )
            )
        )
    )
)
NAMES_IN = _text(
    sa.select(LAYERS.c.names).where(
        LAYERS.c.source == _p("source"), LAYERS.c.digest == _p("digest")
    )
)
FIND_COMPANION = _text(
    sa.select(COMPANIONS.c.number, COMPANIONS.c.above, COMPANIONS.c.below).where(
        COMPANIONS.c.fingerprint == _p("fingerprint")
    )
)
_ASKED_NUMBERS = sa.func.json_each(_p("numbers")).table_valued("value")
UNRECORDED_COMPANIONS = _text(
    sa.select(_ASKED_NUMBERS.c.value).where(
        ~sa.exists().where(COMPANIONS.c.number == _ASKED_NUMBERS.c.value),
        ~sa.exists().where(STRANGERS.c.id == _ASKED_NUMBERS.c.value),
    )
)
SOURCE_PATHS = _text(sa.select(SOURCES.c.name, SOURCES.c.path))
REMOTE_LAYERS = _text(sa.select(_S.id, _S.digest).where(_S.source == _p("source")).order_by(_S.id))

INSERT = _text(sa.insert(SNAPSHOTS))
REPLACE = _text(
    sa.update(SNAPSHOTS)
    .where(_S.id == _p("identifier"))
    .values({column.name: _p(column.name) for column in _S if column.name != "id"})
)
DELETE = _text(sa.delete(SNAPSHOTS).where(_S.id == _p("id")))
ADD_TOMBSTONE = _text(sqlite.insert(TOMBSTONES).on_conflict_do_nothing())
ADD_STRANGER = _text(sqlite.insert(STRANGERS).on_conflict_do_nothing())
FORGET_TOMBSTONE = _text(sa.delete(TOMBSTONES).where(TOMBSTONES.c.id == _p("id")))
MEASURE = _text(
    sa.update(SNAPSHOTS)
    .where(_S.id == _p("identifier"), _S.kind == sa.literal_column("'committed'"))
    .values(size=_p("size"), inodes=_p("inodes"))
)
_KEEP_NAMES = sqlite.insert(LAYERS)
KEEP_NAMES = _text(
    _KEEP_NAMES.on_conflict_do_update(
        index_elements=["source", "digest"], set_={"names": _KEEP_NAMES.excluded.names}
    )
)
_KEEP_PATH = sqlite.insert(SOURCES)
KEEP_PATH = _text(
    _KEEP_PATH.on_conflict_do_update(
        index_elements=["name"], set_={"path": _KEEP_PATH.excluded.path}
    )
)
NEXT_IDENTIFIER = _text(sa.select(IDENTIFIERS.c.next))
RAISE_IDENTIFIERS = _text(
    sa.update(IDENTIFIERS).where(IDENTIFIERS.c.next < _p("to")).values(next=_p("to"))
)
ADD_COMPANION = _text(sa.insert(COMPANIONS))
CLAIM_COMPANIONS = _text(
    sa.update(COMPANIONS)
    .where(
        COMPANIONS.c.fingerprint.is_not(None),
        ~sa.exists().where(_S.companion == COMPANIONS.c.number),
    )
    .values(fingerprint=sa.null())
)
CLAIMED_COMPANIONS = _text(
    sa.select(COMPANIONS.c.number)
    .where(COMPANIONS.c.fingerprint.is_(None))
    .order_by(COMPANIONS.c.number)
    .limit(_p("limit"))
    .offset(_NONE)
)
FORGET_COMPANION = _text(sa.delete(COMPANIONS).where(COMPANIONS.c.number == _p("number")))
_W = WISHES.c
_SEEN_LAST_FIRST = (_W.last_seen_at.desc(), _W.digest, _W.image, _W.reason)
WISHES_SEEN = _text(sa.select(WISHES).order_by(*_SEEN_LAST_FIRST))
WISHES_COUNTED = _text(sa.select(sa.func.count()).select_from(WISHES))
_ADD_WISH = sqlite.insert(WISHES)
ADD_WISH = _text(
    _ADD_WISH.on_conflict_do_update(
        index_elements=["digest", "image", "reason"],
        set_={
            "count": _W["count"] + _ADD_WISH.excluded["count"],
            # With two arguments they are SQLite's scalar functions.
            "first_seen_at": sa.func.min(_W.first_seen_at, _ADD_WISH.excluded.first_seen_at),
            "last_seen_at": sa.func.max(_W.last_seen_at, _ADD_WISH.excluded.last_seen_at),
        },
    )
)
_TOO_MANY = sa.select(_W.digest, _W.image, _W.reason).order_by(*_SEEN_LAST_FIRST)
DROP_WISHES = _text(
    sa.delete(WISHES).where(
        sa.tuple_(_W.digest, _W.image, _W.reason).in_(
            _TOO_MANY.limit(sa.literal_column("-1")).offset(_p("most"))
        )
    )
)
FORGET_WISH = _text(sa.delete(WISHES).where(_W.digest == _p("digest")))
