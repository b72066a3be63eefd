"""What environments are composed of, and when one component takes the place of another."""

from typing import Any, ClassVar


class Component:
    """
    Base of visits, constraints and objectives.

    Parameters
    ----------
    reads
        Attributes of the instance that it cannot do without.
    generalises
        Types of components whose place it takes, the attributes that it reads beyond having
        neutral values: see `serves`.
    """

    reads: tuple[str, ...] = ()
    generalises: ClassVar[tuple[type, ...]] = ()

    def same_as(self, other: object) -> bool:
        """Whether another component is of the same type, with the same settings."""
        return signature(self) == signature(other)

    def serves(self, other: "Component") -> dict[str, int] | None:
        """
        Values of attributes with which it takes the place of another component.

        Empty where neutral values are all it needs; None where it never does. A component that
        generalises others only in some of its settings, or with other values, overrides this.
        """
        if self.same_as(other) or type(other) in self.generalises:
            return {}
        return None


def signature(part: object) -> tuple[Any, ...]:
    """A component by its type and its settings, comparable."""
    settings = ((name, _plain(value)) for name, value in sorted(vars(part).items()))
    return (type(part), *settings)


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return signature(value) if isinstance(value, Component) else value
