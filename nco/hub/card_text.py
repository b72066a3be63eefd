"""YAML of a card, bounded before it is built: its length, depth, entries and repeated parts."""

from typing import Any

import yaml

from nco.data.errors import InputError

MAX_CHARACTERS = 2**18
MAX_DEPTH = 64
MAX_ENTRIES = 20_000  # repeated parts counted each time
MAX_WORD = 2**13


def read_yaml(text: str) -> Any:
    """
    The content of a YAML text: plain lists, dictionaries, numbers and strings.

    Raises
    ------
    InputError
        The text is no YAML, or is larger or deeper than any card.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{len(text):,} characters, expected at most {MAX_CHARACTERS:,}")
    try:
        _measure(text)
        return yaml.load(text, yaml.SafeLoader)
    except InputError:
        raise
    # Beside its own errors, the library lets out whatever its conversions of words raise.
    except Exception as error:
        raise InputError(f"no YAML ({' '.join(str(error).split())[:200]})") from None


def _measure(text: str) -> None:
    """Refuses a text that would become too much, from its events alone."""
    open_parts: list[tuple[str | None, int]] = []  # anchor and count of entries before it
    sizes: dict[str, int | None] = {}  # of anchored parts, None while they are open
    count = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            assert event.anchor is not None  # an alias has a name
            size = sizes.get(event.anchor, 1)
            if size is None:
                raise InputError(f"the part {event.anchor[:60]!r} contains itself")
            count += size
        elif isinstance(event, yaml.CollectionStartEvent):
            count += 1
            open_parts.append((event.anchor, count))
            if event.anchor is not None:
                sizes[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_parts.pop()
            if anchor is not None:
                sizes[anchor] = count - before + 1
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if len(event.value) > MAX_WORD:
                raise InputError(f"a word of {len(event.value):,} characters")
        if len(open_parts) > MAX_DEPTH:
            raise InputError(f"more than {MAX_DEPTH} levels")
        if count > MAX_ENTRIES:
            raise InputError(f"more than {MAX_ENTRIES:,} entries")
