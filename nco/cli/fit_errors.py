"""What is wrong with a training configuration, in one line, from the errors of other libraries."""

import re
import traceback
from pathlib import Path

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException

from nco.data.errors import InputError

NOISE = r"\W*(Does not validate|Subtypes:|Errors:|Expected a <class '[\w.]+'>$|Given value)"
# Packages whose complaints are about settings, when they are raised in one of their own lines.
JUDGES = ("lightning", "torch/optim", "jsonargparse")


def explained(error: Exception) -> Exception:
    """
    An error as an `InputError` of one line, if it is about what a person asked for; else itself.

    Parameters
    ----------
    error
        What stopped a training run, while it was parsed, built or begun.
    """
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, InputError):
        inner = inner.__cause__ or inner.__context__
    if isinstance(inner, InputError):
        return inner
    if isinstance(error, ArgumentError):
        return InputError(essence(str(error)))
    settings = isinstance(error, ValueError | TypeError | MisconfigurationException)
    if settings and any(f"/{judge}/" in _raised_in(error) for judge in JUDGES):
        return InputError(essence(str(error)) + _own_line(error))
    return error


def essence(message: str) -> str:
    """What is wrong in a message of jsonargparse, without its account of all types tried."""
    lines = [line.strip() for line in message.splitlines() if not re.match(NOISE, line)]
    return " ".join(line.removeprefix("- ") for line in lines if line)


def _raised_in(error: BaseException) -> str:
    """The file of the line that raised, with slashes."""
    frames = traceback.extract_tb(error.__traceback__)
    return Path(frames[-1].filename).as_posix() if frames else ""


def _own_line(error: BaseException) -> str:
    """Where, in a file of the person's own, the error began; empty where it began elsewhere."""
    inner: BaseException = error
    while (before := inner.__cause__ or inner.__context__) is not None:
        inner = before
    frames = traceback.extract_tb(inner.__traceback__)
    package = str(Path(__file__).parents[1])
    if not frames or "site-packages" in frames[-1].filename:
        return ""
    file = frames[-1].filename
    return "" if file.startswith(package) else f" ({Path(file).name}:{frames[-1].lineno})"
