"""``nco evaluate``: a policy on many instances."""

from pathlib import Path

from nco.cli.arguments import Count, Seed
from nco.cli.choices import Decode, Distribution, Paper


def evaluate(
    policy: str | None = None,
    data: Path | None = None,
    problem: str | None = None,
    size: Count | None = None,
    count: Count | None = None,
    distribution: Distribution = "uniform",
    reference: Path | None = None,
    decode: Decode = "greedy",
    samples: Count | None = None,
    augment: Count = 1,
    batch_size: Count | None = None,
    paper: Paper | None = None,
    device: str = "cpu",
    seed: Seed = 1234,
    json: bool = False,
) -> int:
    """
    Measures a policy on a data set, or on instances drawn for the purpose.

    Prints mean cost with its standard error, the mean gap to reference costs where there are any,
    and instances a second. Every solution is checked. Exit codes: 0 done, 1 a solution is not
    feasible, 2 bad input.

    Parameters
    ----------
    policy
        Name of a shipped policy, a released folder, or a training checkpoint; by default the
        shipped policy for the problem.
    data
        Data set (.npz, .safetensors, .pkl); its own costs are the reference where it has them.
    problem
        Problem to draw instances of, or of the data set where it does not state it.
    size
        Customers of drawn instances (for the TSP: nodes); by default 100.
    count
        Instances to draw, by default 1000; or to take from the beginning of the data set, by
        default all.
    distribution
        Of drawn instances: uniform, cluster or x.
    reference
        Costs of each instance: .pkl of (cost, tour), .npz or .safetensors with cost, .csv or .json.
    decode
        How the policy decodes.
    samples
        How many samples, starts or beams; by default 100 samples, a start at each customer, 10
        beams.
    augment
        Views of each instance under the symmetries of the square, 1 to 8.
    batch_size
        Instances decoded at once; by default as many as fit in a modest memory.
    paper
        Decodes the test set of a paper in the arithmetic of its code, and prints the paper's rows
        beside the result: attention-model. --count then takes the beginning of the set, --size is
        by default what the policy was trained on.
    device
        Where to compute, cpu or cuda.
    seed
        Seed of instances and sampling.
    json
        Print one JSON object instead of a table.
    """
    from nco.cli import DONE, INFEASIBLE, complain
    from nco.cli.instances import draw, load, of_paper
    from nco.cli.solving import progress
    from nco.cli.tables import beside_paper, console, print_json, table_of_evaluation
    from nco.data.errors import InputError
    from nco.decoding import make_search
    from nco.envs import problem as find_problem
    from nco.evaluation.evaluate import evaluate_policy, refuse_impossible, summary
    from nco.evaluation.references import read_references
    from nco.hub.released import default_policy, load_policy

    released = load_policy(policy) if policy is not None else None
    printed: tuple[tuple[str, float], ...] = ()
    search = make_search(decode, samples or 0, augment)
    costs = read_references(reference) if reference is not None else None
    if paper is not None:
        if data is not None or released is None:
            raise InputError("--paper goes with --policy and without --data")
        name, instances, printed = of_paper(paper, released, problem, size, count)
        own = None
    elif data is not None:
        if size is not None:
            raise InputError(f"{data}: its instances have their size, expected no --size")
        name, instances, own = load(data, problem, count, released)
    elif problem is not None:
        name, instances, own = draw(problem, size or 100, count or 1000, distribution, seed)
    else:
        raise InputError("neither --data nor --problem, expected one of them")
    env = find_problem(name, instance=instances)
    costs = own if costs is None else costs
    if costs is not None and len(costs) < len(instances):
        where = reference or data
        raise InputError(f"{where}: {len(costs)} costs, expected {len(instances)}")
    released = released or default_policy(env)
    released.require(env)
    if paper is not None:
        env = find_problem(name, published=True)
    env.require(instances)
    if data is not None:
        refuse_impossible(env, instances, str(data))
    if paper is None:
        env, instances = released.adapt(env, instances)
    with progress() as bar:
        task = bar.add_task(f"{released.name} · {decode}", total=len(instances))
        found = evaluate_policy(
            env,
            released.policy,
            instances,
            search,
            batch_size,
            seed,
            device,
            lambda done: bar.update(task, completed=done),
        )
    result = summary(env, found, costs)
    result = {
        "problem": name,
        "n": env.num_customers(instances),
        "count": len(instances),
        "policy": released.name,
        "decode": describe(decode, samples, augment),
        **result,
    }
    for row, reason in found.infeasible.items():
        complain("nco evaluate", f"instance {row}: no feasible solution: {reason}")
    if json:
        print_json(result)
    else:
        console().print(table_of_evaluation(result, beside_paper(env, result, printed)))
    return INFEASIBLE if found.infeasible else DONE


def describe(decode: Decode, samples: int | None, augment: int) -> str:
    """How was decoded, in few words: ``sample 100, 8 views``."""
    number = f" {samples}" if samples else ""
    return f"{decode}{number}, {augment} views" if augment > 1 else f"{decode}{number}"
