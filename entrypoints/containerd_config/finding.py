"""What is wrong with a configuration."""

from collections.abc import Mapping

import attrs

from .toml import header, text


@attrs.frozen
class Finding:
    """One thing that keeps remote layers from working.

    Attributes:
        name: a word for it that does not change.
        problem: what is wrong and what comes of it.
        table: the table to mend, with its brackets; empty for the file itself.
        add: the lines to have there.
        remove: the lines to take away there.
    """

    name: str
    problem: str
    table: str = ""
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What to do, on one line; empty where there is no line to add or to remove."""
        what = [f"remove {line}" for line in self.remove]
        if self.add:
            what.append(f"set {', '.join(self.add)}")
        where = f"in {self.table} " if self.table else ""
        return where + " and ".join(what) if what else ""


def table_of(*keys: str) -> str:
    """Write a table's header."""
    return f"[{header(*keys)}]"


def entry_of(*keys: str) -> str:
    """Write the header of one more table of an array."""
    return f"[[{header(*keys)}]]"


def setting(key: str, value: str | bool) -> str:  # noqa: FBT001 - it is a value of the file
    """Write a line."""
    written = str(value).lower() if isinstance(value, bool) else text(value)
    return f"{key} = {written}"


def settings(values: Mapping[str, str | bool]) -> tuple[str, ...]:
    """Write lines, in the order given."""
    return tuple(setting(key, value) for key, value in values.items())
