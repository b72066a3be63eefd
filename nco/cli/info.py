"""``nco info``: what there is, and what supports what."""

from nco.cli.arguments import Seed


def info(seed: Seed = 0, check: bool = False, json: bool = False) -> int:
    """
    Lists problems, solvers and released policies, and what supports what.

    Support is found out by asking: every solver makes a model of a small instance of every problem,
    or says which rule it cannot express.

    Parameters
    ----------
    seed
        Seed of the small instances.
    check
        Every solver solves the small instances, too, and support means that the checker accepts its
        solution: a minute.
    json
        Print JSON: versions, kernels, problems, solvers, policies.
    """
    from importlib.metadata import version
    from platform import python_version

    from nco import __version__
    from nco.cli.solving import progress
    from nco.cli.support import asked, policies_of, tried
    from nco.cli.tables import console, print_json, tables_of_info
    from nco.data.native import kernels
    from nco.envs.problems.table import PROBLEMS
    from nco.hub.released import known_policies, shipped_policy
    from nco.solvers.registry import SOLVERS

    packages = ("torch", "lightning", "ortools", "pyvrp", "fast-tsp")
    problems = {}
    with progress() as bar:
        task = bar.add_task("asking", total=len(PROBLEMS) * len(SOLVERS))
        for name, row in PROBLEMS.items():
            bar.update(task, description=f"asking for {name}")
            ask = tried if check else asked
            answers = ask(name, seed, lambda: bar.advance(task))
            problems[name] = {
                "summary": row.summary,
                "policies": policies_of(row.build()),
                "solvers": [solver for solver, reason in answers.items() if reason is None],
                "refusals": {solver: reason for solver, reason in answers.items() if reason},
            }
    found = {
        "versions": {"nco": __version__, "python": python_version()}
        | {package: version(package) for package in packages},
        "kernels": f"{kernels().variant} ({kernels().reason})",
        "problems": problems,
        "solvers": {name: entry.summary for name, entry in SOLVERS.items()},
        "policies": {
            name: dict(shipped_policy(name).card.get("measured") or {}) for name in known_policies()
        },
    }
    if json:
        print_json(found)
    else:
        for table in tables_of_info(found):
            console().print(table)
        console().print(f"kernels: {found['kernels']}", highlight=False)
    return 0
