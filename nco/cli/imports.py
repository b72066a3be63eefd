"""``--import MODULE_OR_FILE``, which every command takes: a person's own classes and plug-ins."""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

FLAG = "--import"
HELP = "module or .py file to import first: own policies, problems, solvers; may be repeated"


def without_imports(argv: list[str]) -> tuple[list[str], list[str]]:
    """
    The words of a command line without its ``--import`` options, and what these name.

    Raises
    ------
    InputError
        The option is the last word.
    """
    rest, named = [], []
    words = iter(argv)
    for word in words:
        if word == FLAG:
            value = next(words, None)
            if value is None:
                raise _refused(f"{FLAG}: no value, expected a module or a .py file")
            named.append(value)
        elif word.startswith(f"{FLAG}="):
            named.append(word.removeprefix(f"{FLAG}="))
        else:
            rest.append(word)
    return rest, named


def import_named(name: str) -> None:
    """
    Imports a module by its name, from the current folder too, or a file by its path.

    A file is a module by the name of its stem, as it is for files that lie beside it.

    Raises
    ------
    InputError
        There is no such module or file; what it raises by itself is not hidden.
    """
    path = Path(name)
    if path.suffix != ".py":
        make_importable(Path.cwd())
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise  # a module that the person's own module asks for
            raise _refused(f"{FLAG} {name}: no such module, expected one or a .py file") from None
        return
    if not path.is_file():
        raise _refused(f"{FLAG} {name}: no such file")
    path = path.resolve()
    present = sys.modules.get(path.stem)
    if present is not None:
        if Path(getattr(present, "__file__", None) or "").resolve() == path:
            return
        raise _refused(f"{FLAG} {name}: there is a module {path.stem!r} already")
    make_importable(path.parent)  # for its neighbours, and for processes that are started later
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    sys.modules[path.stem] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise


def make_importable(folder: Path) -> None:
    """Lets the modules of a folder be imported, after all that are found elsewhere."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)


def _refused(message: str) -> ValueError:
    # Too heavy to import where there is nothing to refuse.
    from nco.data.errors import InputError

    return InputError(message)
