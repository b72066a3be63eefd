"""How a command ends: its exit codes, and the line that says what went wrong."""

import sys

DONE, INFEASIBLE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def complain(prog: str, error: Exception | str) -> None:
    """Prints an error in one line on stderr, as ``nco solve: FILE: what, expected what``."""
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(f"{prog}: {' '.join(str(error).split())}", file=sys.stderr)
