"""``nco generate`` from end to end."""

import json
from pathlib import Path

import pytest
import torch

from nco.data.dataset import load_instances, stored_problem
from nco.data.formats import read
from nco.data.recipes import attention_model
from tests.nco.cli.conftest import Run


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_data_set_is_read_back(suffix: str, run: Run) -> None:
    """Problem, number and size are as asked for, and the same seed gives the same file."""
    for name in ("a", "b"):
        words = ["--size", 20, "--count", 30, "--seed", 5, "--out", f"{name}{suffix}"]
        assert run("generate", "cvrp", *words).code == 0
    first, second = (load_instances(Path(f"{name}{suffix}")) for name in ("a", "b"))
    assert stored_problem(Path(f"a{suffix}")) == "cvrp"
    assert first["locs"].shape == (30, 21, 2)
    assert bool((first["capacity"] == 30).all())  # the Attention Model's for n = 20
    assert all(torch.equal(first[name], second[name]) for name in first.keys())


def test_another_seed_draws_others(run: Run) -> None:
    """The seed decides what is drawn."""
    for seed in (1, 2):
        run("generate", "tsp", "--count", 3, "--seed", seed, "--out", f"{seed}.npz")
    first, second = (load_instances(Path(f"{seed}.npz")) for seed in (1, 2))
    assert not torch.equal(first["locs"], second["locs"])


def test_a_range_of_sizes_gives_a_data_set_for_each(run: Run) -> None:
    """Sizes are drawn for each instance; a file holds one size, all files together the count."""
    words = ["--size", "20:23", "--count", 40, "--out", "mixed.npz", "--json"]
    told = json.loads(run("generate", "tsp", *words).out)
    assert set(told) == {"problem", "count", "files"}
    sets = {file: load_instances(Path(file)) for file in told["files"]}
    assert sum(len(instances) for instances in sets.values()) == 40
    for file, instances in sets.items():
        assert file == f"mixed-n{instances['locs'].shape[1]}.npz"
    assert {instances["locs"].shape[1] for instances in sets.values()} <= {20, 21, 22, 23}
    assert len(sets) > 1


@pytest.mark.parametrize("distribution", ["uniform", "cluster", "x"])
@pytest.mark.parametrize("problem", ["tsp", "cvrp"])
def test_instance_files_are_read_back(problem: str, distribution: str, run: Run) -> None:
    """A folder is filled with files that hold what a data set of the same seed holds."""
    words = ["generate", problem, "--size", 12, "--count", 3, "--distribution", distribution]
    assert run(*words, "--out", "folder").code == 0
    assert run(*words, "--out", "set.npz").code == 0
    expected = load_instances(Path("set.npz"))
    files = sorted(Path("folder").iterdir())
    assert len(files) == 3
    for row, path in enumerate(files):
        file = read(path)
        assert file.problem == problem
        assert torch.equal(file.instance["locs"][0].float(), expected["locs"][row].float())


def test_one_instance_has_the_name_that_was_asked_for(run: Run) -> None:
    """``--count 1 --out F.vrp`` writes F.vrp, more are numbered."""
    run("generate", "cvrp", "--size", 5, "--count", 1, "--out", "one.vrp")
    assert Path("one.vrp").exists()
    run("generate", "cvrp", "--size", 5, "--count", 10, "--out", "many.vrp")
    assert len(list(Path().glob("many-??.vrp"))) == 10


def test_problems_without_a_file_format_become_json(run: Run) -> None:
    """A folder of orienteering instances holds JSON, with every attribute."""
    run("generate", "op", "--size", 6, "--count", 2, "--out", "op")
    names = {file.name for file in Path("op").iterdir()}
    assert names == {"op-n6-1.json", "op-n6-2.json"}
    assert {"prize", "distance_limit"} <= set(read(Path("op/op-n6-1.json")).instance.keys())


def test_the_published_recipe(run: Run) -> None:
    """``--recipe attention-model`` writes the paper's instances."""
    words = ["--recipe", "attention-model", "--size", 20, "--count", 7, "--seed", 1234]
    assert run("generate", "cvrp", *words, "--out", "am.pkl").code == 0
    found, expected = load_instances(Path("am.pkl")), attention_model("cvrp", 20, 1234, 7)
    assert all(torch.equal(found[name], expected[name]) for name in expected.keys())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["nosuch", "--out", "a.npz"], "nosuch"),
        (["cvrp", "--out", "a.npz", "--size", "30:20"], "30"),
        (["cvrp", "--out", "a.npz", "--size", "many"], "many"),
        (["cvrp", "--out", "a.npz", "--size", "0"], "0"),
        (["cvrp", "--out", "a.xyz"], "a.xyz"),
        (["cvrp", "--out", "no/a.npz", "--count", "2"], "no/a.npz"),
        (["op", "--out", "a.npz", "--distribution", "x"], "'x'"),
        (["cvrp"], "out"),
        (["cvrp", "--out", "a.npz", "--count", "0"], "--count"),
    ],
)
def test_bad_requests_are_one_line(words: list[str], part: str, run: Run) -> None:
    """What cannot be drawn or written is exit code 2, and leaves nothing behind."""
    result = run("generate", *words)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert part in line
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("problem", ["atsp", "acvrp", "acvrptw"])
def test_road_networks(problem: str, run: Run) -> None:
    """Asymmetric problems are drawn as a data set, on detours of the plane and in cities."""
    for words in ([], ["--distribution", "city"]):
        name = f"{len(words)}.npz"
        assert run("generate", problem, "--size", 12, "--count", 5, "--out", name, *words).code == 0
        found = load_instances(Path(name))
        assert not torch.equal(found["distance"], found["distance"].mT)
        assert ("duration" in found.keys()) == bool(words)
        assert stored_problem(Path(name)) == problem
