"""
From a typed function to its command line.

jsonargparse turns strings into the annotated types and words the help. On top of it: a parameter
without default is positional (keyword-only: a required option), a list takes several words, a bool
is a switch, underscores are hyphens, and an error is one line.
"""

import difflib
import inspect
import re
from argparse import HelpFormatter
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from docstring_parser import DocstringStyle, parse
from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import restricted_number_type

from nco.cli.exits import BAD_INPUT, complain
from nco.cli.imports import FLAG, HELP

if TYPE_CHECKING:
    Seconds: TypeAlias = float
    Count: TypeAlias = int
    Megabytes: TypeAlias = float
    Seed: TypeAlias = int
else:
    Seconds = restricted_number_type("Seconds", float, [(">", 0), ("<", float("inf"))])
    Count = restricted_number_type("Count", int, (">=", 1))
    Megabytes = restricted_number_type("Megabytes", float, [(">", 0), ("<=", 1e9)])
    Seed = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**31)])

MAX_SIZE = "max_size"  # of all commands


def call(function: Callable[..., int], argv: Sequence[str], prog: str) -> int:
    """
    Calls a command's function with the arguments of a command line.

    Parameters
    ----------
    function
        Fully annotated, with a numpydoc docstring; returns the exit code.
    argv
        The words after the command.
    prog
        The command, for help and messages.
    """
    parser = command_parser(function, prog)
    try:
        arguments = parser.parse_args(list(argv)).as_dict()
    except ArgumentError as error:
        complain(prog, _one_line(str(error), parser, prog))
        return BAD_INPUT
    del arguments[FLAG.lstrip("-")]
    megabytes = arguments.pop(MAX_SIZE)
    if megabytes is None:
        return function(**arguments)
    from nco.data.limits import max_size  # with all that reads files, which help does not need

    with max_size(megabytes):
        return function(**arguments)


def command_parser(function: Callable[..., int], prog: str) -> ArgumentParser:
    """The parser of a command's function, see `call`; a bad word raises an `ArgumentError`."""
    doc = parse(inspect.getdoc(function) or "", DocstringStyle.NUMPYDOC)
    texts = {item.arg_name: " ".join((item.description or "").split()) for item in doc.params}
    hints = get_type_hints(function)
    summary = " ".join((doc.description or "").split())
    parser = ArgumentParser(
        prog=prog,
        description=summary,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=HelpFormatter,  # jsonargparse's own tells Python types
    )
    for name, parameter in inspect.signature(function).parameters.items():
        options: dict[str, Any] = {"help": texts[name]}
        kind = _without_none(hints[name])
        needed = parameter.default is parameter.empty
        positional = needed and parameter.kind is not parameter.KEYWORD_ONLY
        flag = name if positional else f"--{name.replace('_', '-')}"
        if not needed:
            options["default"] = parameter.default
            options["help"] += _default(parameter.default)
        elif not positional:
            options["required"] = True
        if kind is bool:
            options["action"] = "store_true"
        elif get_origin(kind) is list:
            options |= {"nargs": "+", "type": get_args(kind)[0]}
        else:
            options["type"] = kind
            if get_origin(kind) is Literal:
                options["metavar"] = f"{{{','.join(get_args(kind))}}}"
        parser.add_argument(flag, **options)
    # Taken out of the words before they come here, since it may add to what the others may be.
    parser.add_argument(FLAG, metavar="MODULE_OR_FILE", help=HELP)
    parser.add_argument(
        f"--{MAX_SIZE.replace('_', '-')}",
        type=Megabytes,
        help="Most megabytes of a file that is read, packed or unpacked. Default: 64.",
    )
    return parser


def _default(value: Any) -> str:
    """What the help says of a default; nothing where the text tells what happens without."""
    if value is None or value is False:
        return ""
    return f" Default: {' '.join(value) if isinstance(value, list) else value}."


def _without_none(hint: Any) -> Any:
    """The type a word is turned into: None is what an absent option means, never a word."""
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    return hint


def _one_line(message: str, parser: ArgumentParser, prog: str) -> str:
    """jsonargparse's message without its line breaks and Python types, with a hint on typos."""
    flags = [flag for action in parser._actions for flag in action.option_strings]
    if key := re.match(r'Parser key "(\w+)":\s*(.*)', message, re.DOTALL):
        flag = f"--{key[1].replace('_', '-')}"
        reason = re.sub(r"a typing\.Literal\[(.*?)\]\. Got value:", r"one of \1, found", key[2])
        return f"{flag if flag in flags else key[1]}: {reason}"
    typo = re.search(r"unrecognized arguments: (--[\w-]+)", message)
    near = difflib.get_close_matches(typo[1], flags, n=1) if typo else []
    hint = f"did you mean {near[0]}?" if near else f"{prog} --help lists the options"
    return f"{message} ({hint})"
