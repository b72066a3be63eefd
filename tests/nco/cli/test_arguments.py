"""From a typed function to its command line."""

from pathlib import Path
from typing import Any, get_args

import pytest

from nco.cli import choices
from nco.cli.arguments import Count, Seconds, Seed, call

SEEN: dict[str, Any] = {}


def example(
    files: list[str],
    *,
    out: Path,
    names: list[str] = ["a", "b"],  # noqa: B006
    time_limit: Seconds | None = None,
    decode: choices.Decode | None = None,
    count: Count = 3,
    seed: Seed = 0,
    loud: bool = False,
) -> int:
    """
    Summary.

    Parameters
    ----------
    files
        Some files.
    out
        Some output.
    names
        Some names.
    time_limit
        Some seconds.
    decode
        Some way.
    count
        Some number.
    seed
        Some seed.
    loud
        Some switch.
    """
    SEEN.clear()
    SEEN.update(files=files, out=out, names=names, time_limit=time_limit, decode=decode)
    SEEN.update(count=count, seed=seed, loud=loud)
    return 7


def test_words_become_typed_arguments() -> None:
    """Positionals, lists, switches, hyphens and literals arrive as the annotated types."""
    words = "f g --names x y --time-limit 2.5 --decode beam --count 4 --seed 9 --loud --out o"
    assert call(example, words.split(), "nco example") == 7
    expected = {"files": ["f", "g"], "out": Path("o"), "names": ["x", "y"], "time_limit": 2.5}
    assert expected | {"decode": "beam", "count": 4, "seed": 9, "loud": True} == SEEN


def test_absent_options_have_the_defaults_of_the_function() -> None:
    """Nothing but the required words is needed."""
    assert call(example, ["f", "--out", "o"], "nco example") == 7
    assert SEEN["names"] == ["a", "b"]
    assert SEEN["time_limit"] is None
    assert SEEN["decode"] is None
    assert SEEN["count"] == 3
    assert SEEN["loud"] is False


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("--out o", ["files"]),  # a required positional is missing
        ("f", ["out"]),  # a required option is missing
        ("f --out o --time-limit 0", ["--time-limit", "0", ">0"]),
        ("f --out o --time-limit nan", ["--time-limit", "nan"]),
        ("f --out o --time-limit inf", ["--time-limit", "inf"]),
        ("f --out o --count 0", ["--count", "0", ">=1"]),
        ("f --out o --count 1.5", ["--count", "1.5"]),
        ("f --out o --seed -1", ["--seed", "-1"]),
        ("f --out o --decode best", ["--decode", "'greedy'", "best"]),
        ("f --out o --lowd", ["--lowd", "did you mean --loud"]),
        ("f --out o --tim 3", ["--tim"]),  # no silent abbreviation
        ("f --out o --time_limit 3", ["did you mean --time-limit"]),
    ],
)
def test_bad_words_are_one_line(
    words: str, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad option is exit code 2 and one line with option, value and what was expected."""
    assert call(example, words.split(), "nco example") == 2
    err = capsys.readouterr().err
    assert err.startswith("nco example: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_choices_are_those_of_the_library() -> None:
    """The words in the help, told without importing torch, are the ones that the library takes."""
    from nco.cli.generators import Distribution
    from nco.data.formats import Rounding
    from nco.data.generators.orienteering import PrizeType
    from nco.decoding import Decode

    assert get_args(choices.Decode) == get_args(Decode)
    assert get_args(choices.Rounding) == get_args(Rounding)
    assert get_args(choices.Prize) == get_args(PrizeType)
    assert get_args(choices.Distribution) == get_args(Distribution)
