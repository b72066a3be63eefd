"""
TensorDict without PyTorch's compiler, until something compiles.

While it is imported, tensordict marks six C functions for `torch.compile`, and the first such mark
loads the whole of ``torch._dynamo``: more seconds than tensordict and ``import torch`` together.
Here the marks are noted down, and made as soon as ``torch._dynamo`` is imported by what needs it;
what compiles sees no difference. An import hook, because tensordict may be imported from any
module. Where tensordict or the compiler is loaded already, or is another version that does
otherwise, nothing happens.
"""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class _MarkLater(MetaPathFinder):
    """Finds tensordict, and after it the compiler, as the import system does; runs them so."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, Any]] = []  # names of functions of the compiler, arguments

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname == "tensordict" and COMPILER not in sys.modules:
            return _found(fullname, path, self._without_compiler)
        if fullname == COMPILER and self.marks:
            return _found(fullname, path, self._with_marks)
        return None

    def _without_compiler(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Runs tensordict with functions that mark for the compiler later."""
        import torch

        compiler = torch.compiler
        names = [n for n in ("allow_in_graph", "assume_constant_result") if hasattr(compiler, n)]
        before = {name: getattr(compiler, name) for name in names}

        def later(name: str) -> Callable[[Any], Any]:
            @wraps(before[name])
            def mark(function: Any) -> Any:
                if COMPILER in sys.modules:
                    return before[name](function)
                self.marks.append((name, function))
                return function

            return mark

        for name in names:
            setattr(compiler, name, later(name))
        try:
            execute(module)
        finally:
            for name in names:
                setattr(compiler, name, before[name])

    def _with_marks(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        """Runs the compiler, and makes the marks."""
        marks, self.marks = self.marks, []
        execute(module)
        for name, function in marks:
            getattr(module, name)(function)


def _found(
    name: str,
    path: Sequence[str] | None,
    run: Callable[[Callable[[ModuleType], None], ModuleType], None],
) -> ModuleSpec | None:
    """Where a module is, with another way to run it."""
    spec = PathFinder.find_spec(name, path)
    if spec is None or spec.loader is None:
        return None
    execute = spec.loader.exec_module
    spec.loader.exec_module = lambda module: run(execute, module)  # type: ignore[method-assign]
    return spec


def install() -> None:
    """Has tensordict imported so from now on."""
    if not any(isinstance(finder, _MarkLater) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MarkLater())
