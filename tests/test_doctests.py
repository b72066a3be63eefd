"""The examples in the docstrings of what ``import nco`` gives print what they say."""

import doctest
import importlib

import pytest

import nco

MODULES = ["nco", *sorted({home for home in nco._HOMES.values()})]
FOUND = [
    pytest.param(test, id=test.name)
    for name in MODULES
    for test in doctest.DocTestFinder().find(importlib.import_module(name))
    if test.examples
]


def test_there_are_examples() -> None:
    """The package and the names that people begin with have examples."""
    names = {param.values[0].name for param in FOUND}
    assert {"nco", "nco.face.solving.solve", "nco.face.solving.check"} <= names
    assert {"nco.data.arrays.make_instance", "nco.hub.released.Released.solve"} <= names


@pytest.mark.parametrize("test", FOUND)
def test_examples_print_what_they_say(test: doctest.DocTest) -> None:
    """The output is that of the docstring, to the letter."""
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    told: list[str] = []
    assert runner.run(test, out=told.append).failed == 0, "".join(told)
