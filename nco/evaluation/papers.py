"""What papers report, to stand beside what is measured here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.recipes import attention_model

Row = tuple[str, float]  # method, mean cost


@dataclass(frozen=True)
class Paper:
    """
    A paper's table.

    Parameters
    ----------
    title
        What to cite.
    instances
        Draws its test set: problem, number of customers, number of instances of the whole set.
    count
        Instances in its test sets.
    rows
        For problem and number of customers: the best cost in the table (of any method), then the
        paper's own methods.
    """

    title: str
    instances: Callable[[str, int, int], TensorDict]
    count: int
    rows: Mapping[tuple[str, int], tuple[Row, ...]]

    def find(self, problem: str, size: int) -> tuple[Row, ...]:
        """
        The paper's rows for one problem and size.

        Raises
        ------
        InputError
            The paper has none.
        """
        if (problem, size) not in self.rows:
            known = ", ".join(f"{name} {n}" for name, n in self.rows)
            raise InputError(
                f"{problem} with n = {size}: not in the paper, expected one of {known}"
            )
        return self.rows[problem, size]


def _rows(best: str, values: tuple[float, float, float | None]) -> tuple[Row, ...]:
    cost, greedy, sampling = values
    own = [("greedy", greedy)] if sampling is None else [("greedy", greedy), ("sample", sampling)]
    return ((best, cost), *((f"paper, {name}", value) for name, value in own))


# Kool et al. (2019), Table 1: best of the table, greedy, best of 1280 samples.
_ATTENTION_MODEL = {
    ("tsp", 20): _rows("Concorde", (3.84, 3.85, 3.84)),
    ("tsp", 50): _rows("Concorde", (5.70, 5.80, 5.73)),
    ("tsp", 100): _rows("Concorde", (7.76, 8.12, 7.94)),
    ("cvrp", 20): _rows("Gurobi", (6.10, 6.40, 6.25)),
    ("cvrp", 50): _rows("LKH3", (10.38, 10.98, 10.62)),
    ("cvrp", 100): _rows("LKH3", (15.65, 16.80, 16.23)),
    ("sdvrp", 20): _rows("best in the paper", (6.25, 6.39, 6.25)),
    ("sdvrp", 50): _rows("best in the paper", (10.59, 10.92, 10.59)),
    ("sdvrp", 100): _rows("best in the paper", (16.27, 16.83, 16.27)),
    ("op", 20): _rows("Gurobi", (5.39, 5.19, 5.30)),
    ("op", 50): _rows("Compass", (16.17, 15.64, 16.07)),
    ("op", 100): _rows("Compass", (33.19, 31.62, 32.68)),
    ("pctsp", 20): _rows("Gurobi", (3.13, 3.18, 3.15)),
    ("pctsp", 50): _rows("OR-Tools", (4.48, 4.60, 4.52)),
    ("pctsp", 100): _rows("ILS", (5.98, 6.25, 6.08)),
    ("spctsp", 20): _rows("best in the paper", (3.26, 3.26, None)),
    ("spctsp", 50): _rows("reoptimization", (4.64, 4.65, None)),
    ("spctsp", 100): _rows("reoptimization", (6.16, 6.32, None)),
}

PAPERS = {
    "attention-model": Paper(
        "Attention, Learn to Solve Routing Problems! (Kool et al. 2019), Table 1",
        lambda problem, size, count: attention_model(problem, size, count=count),
        10_000,
        _ATTENTION_MODEL,
    )
}
