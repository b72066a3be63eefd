"""Released policies: what is written is what is read, and nothing damaged or foreign gets in."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from nco.data.errors import InputError
from nco.envs import RoutingEnv, problem
from nco.hub import released as module
from nco.hub.released import CARD, WEIGHTS, default_policy, load_policy, parts, save_policy, shipped
from nco.hub.weights import policy_weights
from nco.policies import Policy
from tests.envs.random_instances import draw
from tests.nco.training.runs import TINY, fit, write
from tests.policies.small import SMALL, small_policy

OPTIONS = {"norm": "batch", "residual": True, "distance_bias": True}


def card(name: str = "cvrp") -> dict[str, Any]:
    return {
        "env": {"class_path": "nco.envs.problem", "init_args": {"name": name}},
        "policy": {
            "class_path": "nco.policies.AttentionPolicy",
            "init_args": SMALL | OPTIONS,
        },
        "training": {"command": "none"},
        "measured": {"gap": 1.5},
    }


def scores(policy: Policy, env: RoutingEnv) -> Tensor:
    instance = draw(env, 2, 6, 0)
    with torch.no_grad():
        embeddings = policy.eval().encode(env.features(instance))
        return policy.step(embeddings, env.context(env.reset(instance, 2)))[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound released policy."""
    env = problem("cvrp")
    save_policy(tmp_path / "policy", small_policy(env, 3, **OPTIONS), card())
    return tmp_path / "policy"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound training checkpoint."""
    root = tmp_path_factory.mktemp("training")
    logs = ("--trainer.logger.init_args.save_dir", str(root), "--trainer.max_epochs", "1")
    assert fit("--config", write(root / "tiny.yaml", TINY), *logs) == 0
    return root / "tiny" / "version_0" / "checkpoints" / "last.ckpt"


def test_round_trip(folder: Path) -> None:
    """A loaded policy has the scores, the problem and the card of the saved one."""
    env = problem("cvrp")
    found = load_policy(folder)
    assert torch.equal(scores(found.policy, env), scores(small_policy(env, 3, **OPTIONS), env))
    assert not found.policy.training and parts(found.env) == parts(env)
    assert found.card == card() and found.name == str(folder)
    found.require(env)
    assert sorted(path.name for path in folder.iterdir()) == [WEIGHTS, CARD]


def test_half_precision_storage(tmp_path: Path) -> None:
    """Stored as float16, weights take half the space, counters stay integers, and the loaded policy
    is float32 with nearly the same scores."""
    env = problem("cvrp")
    policy = small_policy(env, 3, **OPTIONS)
    for name, dtype in (("half", torch.float16), ("full", torch.float32)):
        save_policy(tmp_path / name, policy, card(), dtype)
    half, full = (load_file(tmp_path / name / WEIGHTS) for name in ("half", "full"))
    for name, value in full.items():
        assert half[name].dtype == (torch.float16 if value.is_floating_point() else value.dtype)
    loaded = load_policy(tmp_path / "half").policy
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    expected, found = scores(policy, env).exp(), scores(loaded, env).exp()
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)


def test_training_checkpoints_are_policies(checkpoint: Path, tmp_path: Path) -> None:
    """A checkpoint of nco fit loads as it is, and released from there it is the same policy; the
    card says how it was trained, without folders of the machine."""
    env = problem("cvrp")
    trained = load_policy(checkpoint)
    assert trained.card["training"]["epoch"] == 0 and trained.card["training"]["step"] == 3
    save_policy(tmp_path / "out", trained.policy, trained.card)
    again = load_policy(tmp_path / "out")
    assert torch.equal(scores(again.policy, env), scores(trained.policy, env))
    assert str(tmp_path) not in (tmp_path / "out" / CARD).read_text()
    settings_of = trained.card["training"]["model"]["init_args"]
    assert settings_of["baseline"]["init_args"]["alpha"] == 0.9 and "policy" not in settings_of


def test_policies_for_other_problems_are_refused(folder: Path) -> None:
    """Asked to solve what it was not trained on, a policy names the parts that differ."""
    found = load_policy(folder)
    with pytest.raises(InputError, match=r"does not support this problem: .* DepotRoutes, Tour"):
        found.require(problem("tsp"))
    with pytest.raises(InputError, match=r"the policy is for DepotRoutes \+ Capacity \+ Distance"):
        found.require(problem("op"))


def test_shipped_policies_are_found_by_problem() -> None:
    """Every shipped policy loads and is the default for its problem; without one the message lists
    those that there are."""
    assert {"tsp", "cvrp"} <= set(shipped())
    for name in shipped():
        found = load_policy(name)
        assert parts(default_policy(found.env).env) == parts(found.env)
        assert scores(found.policy, found.env).exp().sum(-1).allclose(torch.ones(2, 2))
    for name in ("tsp", "cvrp"):
        assert default_policy(problem(name)).name == name
    for name in ("ovrp", "vrptw", "mdvrpmbl", "1pdvrpltw"):
        assert default_policy(problem(name)).name == "vrp"
    with pytest.raises(InputError, match=r"no shipped policy supports .*Tour.*cvrp, .*tsp"):
        default_policy(problem("spctsp"))


def test_nothing_is_overwritten_unasked(folder: Path, tmp_path: Path) -> None:
    """An existing folder is refused; a released policy may be replaced on demand, anything else
    never."""
    env = problem("cvrp")
    other = small_policy(env, 4, **OPTIONS)
    with pytest.raises(InputError, match="exists already, expected a new folder"):
        save_policy(folder, other, card())
    save_policy(folder, other, card(), overwrite=True)
    assert torch.equal(scores(load_policy(folder).policy, env), scores(other, env))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="exists already"):
        save_policy(precious, other, card(), overwrite=True)
    assert (precious / "thesis.txt").exists()


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails is reported in one line and leaves no folder behind."""

    def full_disk(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full_disk)
    with pytest.raises(InputError, match=r"new: cannot be written \(No space left on device\)"):
        save_policy(tmp_path / "new", small_policy(problem("cvrp"), **OPTIONS), card())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_policy(tmp_path / "file" / "new", small_policy(problem("cvrp"), **OPTIONS), card())


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = yaml.safe_load(path.read_text())
    change(found)
    path.write_text(yaml.safe_dump(found))


def truncate(folder: Path) -> None:
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[: len(weights) // 2])


def rename_weight(folder: Path) -> None:
    state = load_file(folder / WEIGHTS)
    state["strange"] = state.pop("encoder.embedding.depot.weight")
    save_file(state, folder / WEIGHTS)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "model.safetensors: no readable weights"),
    "empty weights": (lambda f: (f / WEIGHTS).write_bytes(b""), "no readable weights"),
    "half the weights": (truncate, "no readable weights"),
    "noise for weights": (lambda f: (f / WEIGHTS).write_bytes(b"\x07" * 999), "no readable weigh"),
    "other weights": (rename_weight, "weights do not fit the architecture .*depot.weight"),
    "no card": (lambda f: (f / CARD).unlink(), "policy.yaml: cannot be read .*expected a card"),
    "binary card": (lambda f: (f / CARD).write_bytes(b"\xff\xfe\x00"), "policy.yaml: no YAML"),
    "broken card": (lambda f: (f / CARD).write_text("a: [b"), "policy.yaml: no YAML"),
    "a list as card": (lambda f: (f / CARD).write_text("[1]"), "expected the keys env and policy"),
    "no policy": (lambda f: edit(f / CARD, lambda c: c.pop("policy")), "keys env and policy"),
    "unknown problem": (
        lambda f: edit(f / CARD, lambda c: c["env"]["init_args"].update(name="vrpx")),
        "describes no policy that can be built .*vrpx",
    ),
    "unknown class": (
        lambda f: edit(f / CARD, lambda c: c["policy"].update(class_path="os.system")),
        "describes no policy that can be built",
    ),
    "unknown setting": (
        lambda f: edit(f / CARD, lambda c: c["policy"]["init_args"].update(dimm=3)),
        "describes no policy that can be built .*dimm",
    ),
    "negative channels": (
        lambda f: edit(f / CARD, lambda c: c["policy"]["init_args"].update(dim=-8)),
        "describes no policy that can be built",
    ),
    "other channels": (
        lambda f: edit(f / CARD, lambda c: c["policy"]["init_args"].update(dim=16)),
        "weights do not fit the architecture .*size mismatch",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_folders_are_refused(kind: str, folder: Path) -> None:
    """Whatever is missing, cut or changed in a folder, one line says what and where."""
    damage, message = DAMAGE[kind]
    damage(folder)
    with pytest.raises(InputError, match=message) as error:
        load_policy(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_mutated_cards_are_read_or_refused(folder: Path, data: st.DataObject) -> None:
    """A card with lines dropped, doubled or overwritten either loads or is refused by name."""
    original = (folder / CARD).read_text()
    lines = original.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        k = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["drop", "double", "text"]))
        if how == "text":
            lines[k] = lines[k][: data.draw(st.integers(0, 12))] + data.draw(st.text(max_size=8))
        else:
            lines[k : k + 1] = [] if how == "drop" else [lines[k]] * 2
        lines = lines or [""]
    mutant = folder.parent / "mutant"
    mutant.mkdir(exist_ok=True)
    (mutant / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    (mutant / CARD).write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    try:
        load_policy(mutant)
    except InputError as error:
        assert "\n" not in str(error)


class Bomb:
    """Pickles to a call that leaves a trace."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("form", ["pickle", "torch", "zip"])
def test_no_pickle_runs(form: str, tmp_path: Path) -> None:
    """A checkpoint or a weights file that is a malicious pickle is refused, and none of its code
    runs."""
    trace, bad = tmp_path / "ran", tmp_path / "bad.ckpt"
    content = {"state_dict": {"policy.x": Bomb(trace)}, "config": ""}
    if form == "pickle":
        bad.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, bad, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match=r"bad.ckpt: .*expected a checkpoint of nco fit"):
        load_policy(bad)
    save_policy(tmp_path / "p", small_policy(problem("cvrp"), **OPTIONS), card())
    (tmp_path / "p" / WEIGHTS).write_bytes(bad.read_bytes())
    with pytest.raises(InputError, match="no readable weights"):
        load_policy(tmp_path / "p")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))  # it would have
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.ckpt: .*expected a checkpoint of nco fit"),
        (b"PK\x03\x04 no zip", "x.ckpt: .*expected a checkpoint of nco fit"),
        ([1, 2], "x.ckpt: holds no dictionary"),
        ({"state_dict": {}}, "x.ckpt: no configuration in it"),
        ({"config": 3}, "x.ckpt: no configuration in it"),
        ({"config": "a: [b"}, "x.ckpt: no policy in its configuration"),
        ({"config": "model: 3"}, "x.ckpt: no policy in its configuration"),
        ({"config": "CONFIG", "state_dict": [1]}, "x.ckpt: no weights of a policy"),
        ({"config": "CONFIG", "state_dict": {"net.x": torch.ones(1)}}, "no weights of a policy"),
        ({"config": "CONFIG", "state_dict": {"policy.x": torch.ones(1)}}, "weights do not fit"),
        ({"config": "CONFIG", "state_dict": {"policy.x": "one"}}, "no weights of a policy"),
    ],
)
def test_foreign_checkpoints_are_refused(content: Any, message: str, tmp_path: Path) -> None:
    """Files of other makes, with some of the right keys or none, are refused in one line."""
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        if isinstance(content, dict):
            content = {"epoch": 0, "global_step": 1} | content
            if content.get("config") == "CONFIG":
                content["config"] = TINY
        torch.save(content, path)
    with pytest.raises(InputError, match=message) as error:
        load_policy(path)
    assert "\n" not in str(error.value)


def test_cut_checkpoints_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    """A checkpoint that was cut off while copied is refused, wherever the cut is."""
    whole, cut = checkpoint.read_bytes(), tmp_path / "cut.ckpt"
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"cut.ckpt: .*expected a checkpoint of nco fit"):
            load_policy(cut)


def test_missing_policies_are_named() -> None:
    """A name that is neither a folder nor a checkpoint nor shipped is answered with what is."""
    with pytest.raises(InputError, match=r"policy 'tps': no such folder or .*\(cvrp, tsp, vrp\)"):
        load_policy("tps")


def test_released_weights_start_a_training() -> None:
    """The weights of a released folder are those that a training checkpoint would give."""
    folder = Path(module.__file__).parents[1] / "shipped" / "tsp"
    policy = load_policy(folder).policy
    found = policy_weights(folder)
    assert found.keys() == policy.state_dict().keys()
    for name, value in policy.state_dict().items():
        assert value.dtype == found[name].dtype
        assert value.equal(found[name])
