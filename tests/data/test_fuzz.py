"""Mutated files: whatever a file holds, it is read, or refused with an `InputError` of one line."""

import json
import math
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nco.data.dataset import load_instances, read_costs, save_instances
from nco.data.errors import InputError, InputWarning
from nco.data.formats import FileInstance, read, read_solution, read_tour, write, write_tour
from nco.data.formats.json_file import FORMAT
from nco.data.formats.problem_name import routing_problem
from nco.data.generators import XGenerator
from nco.data.solved import Labels
from nco.data.values import check_values
from nco.envs import PROBLEMS, problem
from nco.evaluation.evaluate import refuse_impossible
from nco.solution import read_routes
from tests.benchmark_data import benchmark_data

Edit = tuple[str, int, int, bytes]
TOKENS = [
    *(b"", b"-1", b"0", b"nan", b"inf", b"1e999", b"-1e12", b"3.5", b"99999999999999999999"),
    *(b"1_000", "\u0663".encode(), b"\xff\xfe", b"\0", b":", b",", b'"', b"#", b"EOF", b"[[[["),
    *(b"DIMENSION : 7\n", b"DEMAND_SECTION\n", b"TYPE : TSP\n", b"Route #1: 1\n", b"Cost\n"),
]


def edits() -> st.SearchStrategy[list[Edit]]:
    """One to four edits, each with two places (in parts of 2^16) and a payload."""
    place = st.integers(0, 2**16 - 1)
    kind = st.sampled_from([*BYTE_EDITS, *LINE_EDITS])
    return st.lists(st.tuples(kind, place, place, st.sampled_from(TOKENS)), min_size=1, max_size=4)


def flip(content: bytes, a: int, b: int, token: bytes) -> bytes:
    return (
        content[:a] + bytes(byte ^ (1 << b % 8) for byte in content[a : a + 1]) + content[a + 1 :]
    )


def insert(content: bytes, a: int, b: int, token: bytes) -> bytes:
    return content[:a] + token + content[a:]


def cut(content: bytes, a: int, b: int, token: bytes) -> bytes:
    return content[:a] + content[a + b % 20 :]


def truncate(content: bytes, a: int, b: int, token: bytes) -> bytes:
    return content[:a]


def replace_word(lines: list[bytes], a: int, b: int, token: bytes) -> None:
    words = lines[a].split(b" ")
    word = b % len(words)
    words[word] = token + (b"\n" if words[word].endswith(b"\n") else b"")
    lines[a] = b" ".join(words)


def change_number(lines: list[bytes], a: int, b: int, token: bytes) -> None:
    lines[a] = lines[a].replace(str(b % 10).encode(), str(b % 1000).encode())


def drop(lines: list[bytes], a: int, b: int, token: bytes) -> None:
    del lines[a]


def repeat(lines: list[bytes], a: int, b: int, token: bytes) -> None:
    lines.insert(b, lines[a])


def exchange(lines: list[bytes], a: int, b: int, token: bytes) -> None:
    lines[a], lines[b] = lines[b], lines[a]


BYTE_EDITS = {edit.__name__: edit for edit in (flip, insert, cut, truncate)}
LINE_EDITS = {edit.__name__: edit for edit in (replace_word, change_number, drop, repeat, exchange)}


def mutated(content: bytes, changes: list[Edit]) -> bytes:
    """The content after all edits."""
    for kind, first, second, token in changes:
        if kind in BYTE_EDITS:
            place = first * len(content) >> 16
            content = BYTE_EDITS[kind](content, place, second, token)
        else:
            lines = content.splitlines(keepends=True) or [b""]
            a, b = (place * len(lines) >> 16 for place in (first, second))
            LINE_EDITS[kind](lines, a, b, token)
            content = b"".join(lines)
    return content


def use(path: Path) -> None:
    """Reads an instance and starts to solve it, as `nco solve` would."""
    file = read(path)
    check_values(file.instance)
    assert file.best_known is None or math.isfinite(file.best_known)
    try:
        env = problem(file.problem, instance=file.instance)
        reasons = env.impossible(file.instance)
    except InputError as error:  # of a problem that goes by its name, as our own files and SDVRP
        named = path.suffix == ".json" and FORMAT in path.read_text()
        assert named or str(error).endswith("is no rule of the problem sdvrp")
        raise InputError(f"{path}: {error}") from None
    if not reasons:
        assert env.mask(env.reset(file.instance)).any()


def use_set(path: Path) -> None:
    """Reads a data set and starts to solve it, as `nco evaluate` would."""
    instances = load_instances(path)
    name = routing_problem(instances) if "capacity" in instances.keys() else "tsp"
    env = problem(name, instance=instances)
    env.require(instances)
    try:
        refuse_impossible(env, instances, str(path))
    except InputError as error:
        assert "no solution exists" in str(error)
        raise
    assert env.mask(env.reset(instances)).any(-1).all()


def use_beside(path: Path) -> None:
    """Reads an instance with a mutated solution beside it: never an error."""
    instance = path.with_suffix(".vrp")
    instance.write_bytes(benchmark_data("cvrplib_small", "P-n16-k8.vrp").read_bytes())
    use(instance)
    read_solution(path)


def use_routes(path: Path) -> None:
    """Reads the routes of an instance of several kinds of vehicles."""
    instance = path.with_name("instance.vrp")
    instance.write_bytes(benchmark_data("sdvrptw", "PR01.vrp").read_bytes())
    read_routes(path, read(instance))


def use_trips(path: Path) -> None:
    """Reads the routes of an instance whose vehicles drive several of them."""
    instance = path.with_name("instance.vrp")
    instance.write_bytes(benchmark_data("mtvrptwr", "R211R0.5.vrp").read_bytes())
    file = read(instance)
    env = problem(file.problem, instance=file.instance)
    env.check(file.instance, read_routes(path, file))


def instance(folder: str, name: str) -> Callable[[Path], bytes]:
    return lambda _: benchmark_data(folder, name).read_bytes()


def made(name: str, make: Callable[[Path], object]) -> Callable[[Path], bytes]:
    def content(folder: Path) -> bytes:
        make(folder / name)
        return (folder / name).read_bytes()

    return content


def _table(path: Path) -> None:
    rows = "\n".join(f"c{k},{k}.25,{-k},{k}" for k in range(12))
    path.write_text(f"# capacity: 20\nname,x,y,demand\n{rows}\n")


def _sphere(path: Path) -> None:
    path.write_text('# capitals\nname,lat,lon\nBerlin,52.5,13.4\n"Rome, IT",41.9,12.5\n')


def _matrix(path: Path) -> None:
    path.write_text("\n".join(",".join(str(abs(i - j)) for j in range(9)) for i in range(9)))


def _json(path: Path) -> None:
    batch = XGenerator(9, rounded=True)(1, torch.Generator().manual_seed(0))
    write(path, FileInstance("t", "cvrp", batch, path, best_known=3.5))


def _set(path: Path) -> None:
    batch = XGenerator(6, rounded=True)(3, torch.Generator().manual_seed(0))
    save_instances(path, batch, "cvrp", torch.rand(3))


def _labels(path: Path) -> None:
    xy, nodes = np.arange(14, dtype=np.int16).reshape(7, 2), np.array([3, 4])
    demand, tour = np.array([0, 3, 4, 0, 1, 1, 1]), np.array([0, 1, 0, 2, 0, 0, 2, 3, 1, 0])
    lengths, capacity = np.array([5, 5]), np.array([6, 9])
    np.savez(
        path, xy=xy, nodes=nodes, demand=demand, tour=tour, tour_len=lengths, capacity=capacity
    )


def _pickled(path: Path) -> None:
    items = [([0.5, 0.5], [[0.1, 0.2], [0.3, 0.4]], [3, 4], 10.0) for _ in range(3)]
    path.write_bytes(pickle.dumps(items))


def _pickled_variants(path: Path) -> None:
    windows = ([0.25, 0.5], [0.5, 1.0], [1.5, 2.0])
    item = ([[0.5, 0.5]], [[0.125, 0.25], [0.5, 0.75]], [3.0, -4.0], 10.0, 3.0, *windows)
    path.write_bytes(pickle.dumps([item] * 3))


def _vroom(path: Path) -> None:
    vehicle = {"id": 1, "start_index": 0, "end_index": 0, "capacity": [9]}
    pickup, delivery = ({"id": k, "location_index": k} for k in (1, 2))
    content = {
        "vehicles": [vehicle, vehicle | {"time_window": [0, 99], "skills": [1]}],
        "shipments": [{"amount": [4], "pickup": pickup, "delivery": delivery}],
        "matrices": {"car": {"durations": [[0, 4, 5], [6, 0, 7], [8, 9, 0]]}},
    }
    path.write_text(json.dumps(content, indent=0))


def _vroom_jobs(path: Path) -> None:
    _vroom(path)
    content = json.loads(path.read_text())
    skilled = {"id": 7, "location_index": 2, "delivery": [2], "skills": [1], "service": 3}
    content["jobs"] = [skilled, {"id": 8, "location_index": 1, "time_windows": [[5, 80]]}]
    content["vehicles"][0]["max_travel_time"] = 40
    path.write_text(json.dumps(content, indent=0))


def _json_fleet(path: Path) -> None:
    fleet = PROBLEMS["sdvrptw"].generator(5)(1, torch.Generator().manual_seed(0))
    fleet["duration_limit"] = torch.tensor([[9.0, 8.0, torch.inf]])
    fleet["vehicle_count"] = torch.tensor([[2, 1, 1]])
    kinds = (0, 0, 1, 2)
    write(path, FileInstance("t", "sdvrptw", fleet, path, vehicles=kinds, cost_steps=10))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=0))


def _split(path: Path) -> None:
    text = benchmark_data("cvrplib_small", "P-n16-k8.vrp").read_text()
    path.write_text(text.replace("CVRP", "SDVRP").replace("CAPACITY : 35", "CAPACITY : 20"))


def _osrm(path: Path) -> None:
    places = [{"location": [13.5, 52.25]}, {"location": [12.5, 41.75]}]
    content = {"code": "Ok", "durations": [[0, 4.5], [3.25, 0]], "sources": places}
    path.write_text(json.dumps(content | {"destinations": places}, indent=0))


def _routefinder(path: Path) -> None:
    loads = np.array([[0.25, 0.5, 0.75]] * 2, dtype=np.float32)
    windows = np.array([[[0, 4.5], [1, 2], [0, np.inf], [1, 3]]] * 2)
    ones, limit = np.ones((2, 1)), np.array([[2.5], [np.inf]])
    locs, loads_back = np.linspace(0, 1, 16).reshape(2, 4, 2), loads * 0
    arrays = {"locs": locs, "demand_linehaul": loads, "demand_backhaul": loads_back}
    arrays |= {"vehicle_capacity": ones, "capacity_original": ones * 4, "speed": ones}
    arrays |= {"distance_limit": limit, "time_windows": windows, "open_route": ones > 0}
    np.savez(path, allow_pickle=False, **arrays)


def _pickled_costs(path: Path) -> None:
    path.write_bytes(pickle.dumps([(np.float64(1.5), [1, 0, 2]), (2.5, [2, 1])]))


CASES: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], object]]] = {
    "P-n16": (".vrp", instance("cvrplib_small", "P-n16-k8.vrp"), use),
    "E-n13, explicit": (".vrp", instance("cvrplib_small", "E-n13-k4.vrp"), use),
    "X-n125": (".vrp", instance("cvrplib_x", "X-n125-k30.vrp"), use),
    "PR11A, several depots": (".vrp", instance("mdvrptw", "PR11A.vrp"), use),
    "PR01, site-dependent": (".vrp", instance("sdvrptw", "PR01.vrp"), use),
    "R211R0.5, several trips": (".vrp", instance("mtvrptwr", "R211R0.5.vrp"), use),
    "X101-FSMFD, a fleet": (".vrp", instance("hfvrp", "X101-FSMFD.vrp"), use),
    "C1_10_1, prizes": (".vrp", instance("pcvrptw", "C1_10_1.vrp"), use),
    "CMT6, limited": (".vrp", instance("cvrplib_small", "CMT6.vrp"), use),
    "X-n524, backhauls": (".vrp", instance("vrpb", "X-n524-50-k125.vrp"), use),
    "M-n101, groups": (".vrp", instance("gvrp", "M-n101-k10-C34-V4.vrp"), use),
    "CMT9Y, everything in one section": (".vrpspd", instance("vrpspd", "CMT9Y.vrpspd"), use),
    "CON3-0, a matrix": (".vrpspd", instance("vrpspd", "CON3-0.vrpspd"), use),
    "split deliveries": (".vrp", made("t.vrp", _split), use),
    "br17": (".atsp", instance("tsplib_atsp", "br17.atsp"), use),
    "C101": (".txt", instance("solomon", "C101.txt"), use),
    "lc101, pairs": (".txt", instance("li_lim", "lc101.txt"), use),
    "PR01.sol": (".sol", instance("sdvrptw", "PR01.sol"), use_routes),
    "R211R0.5.sol": (".sol", instance("mtvrptwr", "R211R0.5.sol"), use_trips),
    "VROOM": (".json", made("t.json", _vroom), use),
    "VROOM, jobs too": (".json", made("t.json", _vroom_jobs), use),
    "JSON of a fleet": (".json", made("t.json", _json_fleet), use),
    "OSRM": (".json", made("t.json", _osrm), use),
    "RouteFinder's npz": (".npz", made("t.npz", _routefinder), use_set),
    "pickled variants": (".pkl", made("t.pkl", _pickled_variants), use_set),
    "ulysses16, GEO": (".tsp", instance("tsplib", "ulysses16.tsp"), use),
    "bays29, full matrix": (".tsp", instance("tsplib", "bays29.tsp"), use),
    "gr17, half a matrix": (".tsp", instance("tsplib", "gr17.tsp"), use),
    "P-n16.sol": (".sol", instance("cvrplib_small", "P-n16-k8.sol"), read_solution),
    "P-n16.sol beside": (".sol", instance("cvrplib_small", "P-n16-k8.sol"), use_beside),
    "tour": (".tour", made("t.tour", lambda path: write_tour(path, [3, 1, 2], 9.0)), read_tour),
    "table": (".csv", made("t.csv", _table), use),
    "lat lon": (".csv", made("t.csv", _sphere), use),
    "matrix": (".csv", made("t.csv", _matrix), use),
    "JSON": (".json", made("t.json", _json), use),
    "npz": (".npz", made("t.npz", _set), use_set),
    "safetensors": (".safetensors", made("t.safetensors", _set), use_set),
    "labels": (".npz", made("t.npz", _labels), lambda path: Labels([path])),
    "pickled set": (".pkl", made("t.pkl", _pickled), load_instances),
    "pickled costs": (".pkl", made("t.pkl", _pickled_costs), read_costs),
}


# What no composition of rules states is refused, by the section that does.
REFUSED = {"M-n101, groups": "MUTUALLY_EXCLUSIVE_GROUP_SECTION"}


def is_large(case: str, folder: Path) -> bool:
    """Whether a file takes long to read and to look at."""
    return len(CASES[case][1](folder)) > 12_000


def survive(case: str, folder: Path, examples: int) -> int:
    """Reads that many mutations of one file; how many were refused."""
    suffix, make, read_file = CASES[case]
    original = make(folder)
    path = folder / f"mutated{suffix}"
    refused = 0

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(changes=edits())
    def run(changes: list[Edit]) -> None:
        nonlocal refused
        path.write_bytes(mutated(original, changes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            try:
                read_file(path)
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)
                assert len(str(error)) < (
                    2000 if "is unknown, expected one of" in str(error) else 500
                )
                assert "mutated" in str(error)

    path.write_bytes(original)
    try:
        read_file(path)
    except InputError as error:
        assert case in REFUSED and REFUSED[case] in str(error)
    else:
        assert case not in REFUSED
    run()
    return refused


@pytest.mark.parametrize("case", CASES)
def test_mutated_files(case: str, tmp_path: Path) -> None:
    """A few mutations of each kind of file: no other exception than `InputError`, some of it."""
    assert survive(case, tmp_path, examples=10 if is_large(case, tmp_path) else 25) > 0


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_mutated_files_at_length(case: str, tmp_path: Path) -> None:
    """Over 20,000 mutations in all."""
    examples = 200 if is_large(case, tmp_path) else 600
    assert survive(case, tmp_path, examples) > examples // 6
