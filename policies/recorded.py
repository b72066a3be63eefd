"""Objects that remember what they were constructed with."""

import inspect
from typing import Any, Self


class Recorded:
    """
    Base of what can be written down as a class and its settings: see `nco.hub.describing`.

    Attributes
    ----------
    constructed_with
        Arguments of the constructor by name, as they were given; defaults are absent.
    """

    constructed_with: dict[str, Any]

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        made = super().__new__(cls)
        # A copy is made without arguments, and takes over the record with all other attributes.
        if args or settings:
            bound = inspect.signature(cls.__init__).bind(made, *args, **settings)
            del bound.arguments["self"]
            # Before a module is initialised, its own way to set attributes does not work.
            object.__setattr__(made, "constructed_with", bound.arguments)
        return made
