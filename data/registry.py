"""
Tables that plug-ins add to: the first read of any of them loads the plug-ins.

A plug-in is a module that registers what it brings when it is imported (`nco.plugins.register`).
Installed packages name theirs in the entry point group ``nco.plugins``.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from nco.data.errors import InputError

GROUP = "nco.plugins"  # of entry points

Key = TypeVar("Key")
Row = TypeVar("Row")


_tables: "list[Registry[Any, Any]]" = []


class Registry(MutableMapping[Key, Row], Generic[Key, Row]):
    """
    A table of rows by key: those of the package in their order, then those that were added.

    Parameters
    ----------
    what
        What a row is, for messages.
    rows
        Those of the package.
    """

    def __init__(self, what: str, rows: Mapping[Key, Row]):
        self.what = what
        self._own, self._added = dict(rows), dict[Key, Row]()
        _tables.append(self)

    @property
    def added(self) -> dict[Key, Row]:
        """The rows of plug-ins alone."""
        load_plugins()
        return dict(self._added)

    def __getitem__(self, key: Key) -> Row:
        load_plugins()
        return self._own[key] if key in self._own else self._added[key]

    def __setitem__(self, key: Key, row: Row) -> None:
        """
        Adds a row.

        Raises
        ------
        InputError
            There is another one of this key.
        """
        known = self._own.get(key, self._added.get(key))
        if known is not None and known is not row and known != row:
            name = getattr(key, "__name__", key)
            raise InputError(f"{self.what} {name} is registered already, expected another name")
        if key not in self._own:
            self._added[key] = row

    def __delitem__(self, key: Key) -> None:
        del self._added[key]

    def __iter__(self) -> Iterator[Key]:
        load_plugins()
        return iter([*self._own, *self._added])

    def __len__(self) -> int:
        load_plugins()
        return len(self._own) + len(self._added)

    def own(self, rows: Mapping[Key, Row]) -> None:
        """Takes rows of the package itself, from a module that is imported on demand."""
        self._own |= rows


@contextmanager
def scratch() -> Iterator[None]:
    """Rows that are added to any table within are gone afterwards: for tests and notebooks."""
    load_plugins()
    before = [(table, dict(table._added)) for table in _tables]
    try:
        yield
    finally:
        for table, rows in before:
            table._added = rows


_loaded = False


def load_plugins() -> None:
    """
    Imports the plug-ins of installed packages, once.

    Raises
    ------
    InputError
        One of them cannot be imported.
    """
    global _loaded
    if _loaded:
        return
    _loaded = True  # before they are imported, for they read tables, too
    for point in entry_points(group=GROUP):
        import_plugin(point.module, point.name)


def import_plugin(module: str, name: str | None = None) -> None:
    """
    Imports one plug-in.

    Parameters
    ----------
    module
        To import.
    name
        What the plug-in is called, for messages.

    Raises
    ------
    InputError
        It cannot be imported, or registers what there is already.
    """
    try:
        import_module(module)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"plug-in {name or module}: cannot be imported ({reason})") from error
