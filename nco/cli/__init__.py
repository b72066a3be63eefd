"""
The command ``nco``: the first word chooses what runs.

``fit``, ``validate``, ``test`` and ``predict`` are LightningCLI's (``nco.cli.lightning``); every
other command is a plain typed function in the module of its name. Nothing heavy is imported before
the command is known.
"""

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from nco.cli.exits import BAD_INPUT, DONE, INFEASIBLE, INTERRUPTED, complain

__all__ = ["BAD_INPUT", "DONE", "INFEASIBLE", "INTERRUPTED", "complain", "main"]

COMMANDS = {
    "solve": "solves instance files with a policy or a classical solver",
    "compare": "solves the same files with several solvers, side by side",
    "evaluate": "measures a policy on many instances at once",
    "convert": "writes an instance in another format",
    "generate": "draws random instances",
    "label": "solves a data set, to learn from its solutions",
    "fit": "trains a policy, from a YAML configuration",
    "validate": "computes a training run's validation costs",
    "test": "computes a training run's test costs",
    "predict": "solves a training run's data with its policy",
    "export": "turns a training checkpoint into a released policy",
    "import": "turns published weights into a released policy",
    "info": "lists problems, solvers, released policies, and what supports what",
}
LIGHTNING = ("fit", "validate", "test", "predict")


def main(args: Sequence[str] | None = None) -> int:
    """
    Runs one command.

    Parameters
    ----------
    args
        The words after ``nco``; those of the process by default.

    Returns
    -------
    int
        The exit code: 0 done, 1 a solver found no feasible solution, 2 bad input, 130 interrupted.
    """
    argv = list(sys.argv[1:] if args is None else args)
    command = argv[0] if argv else "--help"
    prog = f"nco {command}" if command in COMMANDS else "nco"
    try:
        rest = argv[1:]
        if any(word.startswith("--import") for word in rest):
            from nco.cli.imports import import_named, without_imports

            rest, named = without_imports(rest)
            for name in named:
                import_named(name)
        return _dispatch(command, rest)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has enough: nco info | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except FloatingPointError as error:  # weights whose computations overflow
        complain(prog, error)
        return BAD_INPUT
    except (ValueError, OSError) as error:
        # Imported by now if it was raised; too heavy to import before anything else.
        from nco.data.errors import InputError

        if not isinstance(error, InputError | OSError):
            raise
        complain(prog, error)
        return BAD_INPUT


def _dispatch(command: str, rest: list[str]) -> int:
    if command in LIGHTNING:
        from nco.data.limits import max_size

        with max_size(float("inf")):  # a configuration is the person's own program
            import_module("nco.cli.lightning").run([command, *rest])
        return DONE
    if command in COMMANDS:
        from nco.cli.arguments import call

        name = f"{command}_" if iskeyword(command) else command
        function = getattr(import_module(f"nco.cli.{command}"), name)
        return call(function, rest, f"nco {command}")
    if command in ("-h", "--help", "help"):
        print(_help())
        return DONE
    if command == "--version":
        from nco import __version__

        print(f"nco {__version__}")
        return DONE
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "nco --help lists the commands"
    complain("nco", f"unknown command {command!r}: {hint}")
    return BAD_INPUT


def _help() -> str:
    rows = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return (
        "usage: nco COMMAND ...\n\n"
        "Neural combinatorial optimization of vehicle routing.\n\n"
        f"commands (nco COMMAND --help tells more):\n{rows}\n\n"
        "options:\n  --version  prints the version\n"
        "  --import MODULE_OR_FILE  with any command: imports own classes and plug-ins first\n\n"
        "exit codes: 0 done, 1 a solver found no feasible solution, 2 bad input"
    )
