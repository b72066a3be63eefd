"""Where solutions and their pictures are written."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from nco.cli.tables import show_cost, show_gap, show_seconds
from nco.data.errors import InputError
from nco.data.formats import FileInstance
from nco.evaluation.runs import Run
from nco.solution import write_routes
from nco.solution.plans import write_stops_table, write_vroom_answer


@dataclass
class Output:
    """
    A folder of solutions.

    Parameters
    ----------
    folder
        Made if it is not there; None for no output.
    plot
        Whether pictures go there too.
    suffix
        After the instance's name, as a format of the solver: ``-{solver}``.
    plan
        What is written besides ``.sol`` files: ``vroom``, ``csv``, ``sol`` for nothing, ``auto``.
    names
        Of the instances so far.
    """

    folder: Path | None
    plot: bool = False
    suffix: str = ""
    plan: str = "sol"
    names: dict[str, Path] = field(default_factory=dict)

    def prepare(self) -> None:
        """
        Finds out before any work whether files can be written.

        Raises
        ------
        InputError
            The folder cannot be made or written to.
        """
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{self.folder}: cannot be made ({error.strerror}), expected a folder to write"
                ) from None
            require_writable(self.folder / "x.sol")

    def claim(self, file: FileInstance) -> None:
        """
        Keeps a file's name for it.

        Raises
        ------
        InputError
            Another file has it: their solutions would be one.
        """
        other = self.names.setdefault(file.path.stem, file.path)
        if self.folder is not None and other != file.path:
            raise InputError(
                f"{file.path}: its solution would have the name of that of {other}, expected "
                "different names"
            )

    def target(self, file: FileInstance, solver: str) -> Path | None:
        """
        The solution file of a run.

        Raises
        ------
        InputError
            It is the one that the instance's best-known cost comes from, or it is a folder.
        """
        if self.folder is None:
            return None
        path = self.folder / f"{file.path.stem}{self.suffix.format(solver=solver)}.sol"
        source = file.best_known_source
        if source is not None and path.resolve() == Path(source).resolve():
            raise InputError(
                f"{file.path}: its best-known solution {path} is not overwritten, expected --out "
                "of another folder"
            )
        for written in (path, path.with_suffix(".png"))[: 1 + self.plot]:
            if written.is_dir():
                raise InputError(f"{written}: is a folder, expected room for a file of this name")
        return path

    def write(self, run: Run) -> None:
        """Writes the solution, and its picture; nothing where there is no feasible solution."""
        path = self.target(run.file, run.solver)
        if path is None or not run.solution.feasible or run.cost is None:
            return
        self._write_plan(path, run)
        write_routes(path, run.env, run.file, run.solution.vehicle_routes, run.cost)
        if self.plot:
            from nco.plotting.solution import plot_routes  # with matplotlib, for pictures alone

            picture = path.with_suffix(".png")
            instance, routes = run.file.instance, run.solution.vehicle_routes
            labels = run.file.labels
            plot_routes(picture, run.env, instance, routes, run.file.name, _facts(run), labels)

    def _write_plan(self, path: Path, run: Run) -> None:
        """The routes in a format of other programs."""
        asked = run.file.request is not None and "vehicles" in run.file.request
        if self.plan == "vroom" or (self.plan == "auto" and asked):
            write_vroom_answer(path.with_suffix(".solution.json"), run.solution, run.file)
        elif self.plan == "csv":
            write_stops_table(path.with_suffix(".stops.csv"), run.solution, run.file)


def require_writable(path: Path) -> None:
    """
    Finds out before any work whether a file can be written.

    Raises
    ------
    InputError
        Its folder is missing or not writable, or it is a folder itself.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected the name of a file")
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written ({error.strerror})") from None


def _facts(run: Run) -> str:
    """The line under a picture's title."""
    count = len(run.solution.vehicle_routes)
    facts = [f"cost {show_cost(run.cost)}"]
    if run.gap is not None:
        facts.append(f"gap {show_gap(run.gap)}")
    facts += [f"{count} route{'s' * (count != 1)}", run.solution.solver]
    return " · ".join([*facts, f"{show_seconds(run.solution.seconds)} s"])
