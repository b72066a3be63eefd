"""The error that bad input ends in."""


class InputError(ValueError):
    """
    Something the user gave cannot be used: a file, a line, a field, an option.

    The message is one line that a person can act on: where (file, line or field), what was
    found, and what was expected. The command line prints it and exits with code 2.
    """


class InputWarning(UserWarning):
    """Something beside the input cannot be used, and the work goes on without it."""
