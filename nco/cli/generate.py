"""``nco generate``: random instances to a data set or to instance files."""

import re
from pathlib import Path

from nco.cli.arguments import Count, Seed
from nco.cli.choices import Distribution, Prize, Recipe


def generate(
    problem: str,
    *,
    out: Path,
    size: str = "50",
    count: Count | None = None,
    distribution: Distribution = "uniform",
    recipe: Recipe | None = None,
    prize: Prize = "dist",
    cities: Path | None = None,
    seed: Seed = 1234,
    json: bool = False,
) -> int:
    """
    Draws random instances; the same seed gives the same ones.

    Parameters
    ----------
    problem
        Name of the problem, see nco info.
    out
        A data set (.npz, .safetensors, .pkl); or instance files (.vrp, .tsp, .csv, .json), which
        are numbered if there are several; or a folder to fill with instance files. A data set has
        one size: of a range of sizes, each gets its own file.
    size
        Customers (for the TSP: nodes), as 50, or as 20:100 for a size drawn for each instance.
    count
        Number of instances: 1000, or as many as the recipe's published sets have (10000).
    distribution
        Where nodes lie: uniform, cluster (Gaussian mixture), x (recipe of CVRPLIB's X set), or
        city (road networks: asymmetric distances in km and durations in minutes).
    recipe
        attention-model gives the published test sets bit for bit (with --seed 1234).
    prize
        Of the recipe's orienteering problem: const, unif or dist.
    cities
        With the distribution city: a folder with CITY/CITY_data.npz and splited_cities_list.json,
        whose cities for testing are used; by default synthetic ones.
    seed
        Seed of the instances.
    json
        Print JSON: problem, count and files.
    """
    from nco.cli.generators import make_generator
    from nco.cli.saving import is_data_set, save_drawn
    from nco.cli.tables import print_json
    from nco.data.errors import InputError
    from nco.data.recipes import attention_model
    from nco.data.recipes.attention_model import COUNT
    from nco.data.seeding import seeded

    match = re.fullmatch(r"(\d{1,7})(?::(\d{1,7}))?", size)
    if not match:
        raise InputError(f"--size {size}: expected a number, or a range like 20:100")
    low, high = int(match[1]), int(match[2] or match[1])
    if out.suffix and out.is_dir():
        raise InputError(f"{out}: is a folder, expected the name of a file")
    count = count or (1000 if recipe is None else COUNT)
    if recipe is not None:
        if low != high:
            raise InputError(f"--size {size}: expected one number, the recipe has no ranges")
        drawn = [attention_model(problem, low, seed, count, prize)]
    else:
        generator = make_generator(problem, (low, high), distribution, not is_data_set(out), cities)
        rng = seeded(seed)
        drawn = [generator(1, rng) for _ in range(count)] if low < high else [generator(count, rng)]
    files = save_drawn(out, problem, drawn)
    if json:
        print_json({"problem": problem, "count": count, "files": [str(file) for file in files]})
    else:
        where = files[0] if len(files) == 1 else f"{len(files)} files like {files[0]}"
        print(f"{count} instances of {problem}: {where}")
    return 0
