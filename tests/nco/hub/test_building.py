"""Cards are data: only classes that are registered are built, from plain settings, by any path."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
import yaml

from nco.data.errors import InputError
from nco.envs import Constraint, RoutingEnv, Visits, problem
from nco.hub.building import (
    BASES,
    PLAIN,
    build,
    built_later,
    instantiate,
    known,
    options,
    parameters,
)
from nco.hub.card_text import read_yaml
from nco.hub.released import CARD, load_policy, save_policy
from nco.policies import AttentionPolicy, Policy
from tests.nco.cli.conftest import SQUARE, Run, run  # noqa: F401  a fixture
from tests.nco.training.runs import TINY
from tests.policies.small import SMALL, small_policy

ENV = {"class_path": "nco.envs.problem", "init_args": {"name": "cvrp"}}
POLICY = {"class_path": "nco.policies.AttentionPolicy", "init_args": SMALL}


def shell(trace: Path) -> dict[str, Any]:
    """A class path that runs a command when it is built."""
    return {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(trace)]}}


def attacks(trace: Path) -> dict[str, dict[str, Any]]:
    """Cards that would leave a trace if anything in them ran."""
    bomb = shell(trace)
    instance = {"class_path": "tensordict.TensorDict", "init_args": {"source": {"x": bomb}}}
    rules = {"visits": {"class_path": "nco.envs.DepotRoutes"}, "constraints": [bomb]}
    part = {"class_path": "planted_module.Trace"}
    return {
        "an instance of the problem": {
            "env": {**ENV, "init_args": {"name": "cvrp", "instance": instance}},
            "policy": POLICY,
        },
        "a rule": {
            "env": {"class_path": "nco.envs.RoutingEnv", "init_args": rules},
            "policy": POLICY,
        },
        "the environment": {"env": bomb, "policy": POLICY},
        "the policy": {"env": ENV, "policy": bomb},
        "an encoder": {"env": ENV, "policy": {**POLICY, "init_args": {"encoder": bomb}}},
        "a number": {"env": ENV, "policy": {**POLICY, "init_args": {"dim": bomb}}},
        "a planted module": {"env": ENV, "policy": part},
        "a planted encoder": {"env": ENV, "policy": {**POLICY, "init_args": {"encoder": part}}},
        "a class of the package": {
            "env": ENV,
            "policy": {"class_path": "nco.training.Generated", "init_args": {"generator": bomb}},
        },
        "a planted module of the package": {
            "env": {"class_path": "nco.envs.problem", "init_args": {"name": "cvrp"}},
            "policy": {"class_path": "nco.policies.planted_module.Trace"},
        },
    }


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that exists only if an attack worked; a module that would make it is on the path."""
    found = tmp_path / "ran"
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "planted_module.py").write_text(
        f"import pathlib\npathlib.Path({str(found)!r}).touch()\nTrace = object\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield found
    assert not found.exists() and "planted_module" not in sys.modules


@pytest.mark.parametrize("kind", attacks(Path()))
@pytest.mark.parametrize("form", ["solve", "evaluate", "export", "solve a checkpoint"])
def test_a_card_runs_nothing(
    kind: str,
    form: str,
    trace: Path,
    tmp_path: Path,
    run: Run,  # noqa: F811
) -> None:
    """Whatever class a released folder or a checkpoint names, the command answers with one line
    and exit code 2, and nothing ran."""
    card = attacks(trace)[kind]
    (tmp_path / "square.vrp").write_text(SQUARE)
    if form in ("export", "solve a checkpoint"):
        config = {
            "env": card["env"],
            "model": {
                "class_path": "x",
                "init_args": {"policy": {"init_args": {}} | card["policy"]},
            },
            "data": {},
        }
        weights = {f"policy.{k}": v for k, v in small_policy(problem("cvrp")).state_dict().items()}
        content = {"config": yaml.safe_dump(config), "epoch": 0, "global_step": 1}
        torch.save(content | {"state_dict": weights}, tmp_path / "x.ckpt")
    else:
        save_policy(tmp_path / "released", small_policy(problem("cvrp")), card)
    words = {
        "solve": ["solve", "square.vrp", "--solver", "policy", "--policy", "released"],
        "evaluate": ["evaluate", "--policy", "released", "--problem", "cvrp", "--size", 5],
        "export": ["export", "x.ckpt", "out"],
        "solve a checkpoint": ["solve", "square.vrp", "--solver", "policy", "--policy", "x.ckpt"],
    }[form]
    result = run(*words)
    assert result.code == 2 and result.out == ""
    (line,) = result.err.splitlines()
    assert "describes no policy that can be built" in line
    assert not list((tmp_path / "out").glob("*"))


def allowed(hint: Any) -> bool:
    """Whether an annotation admits plain values and registered classes only."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in PLAIN or hint in BASES or built_later(hint) is not None:
        return True
    if origin is Literal:
        return all(isinstance(part, str) for part in parts)
    kinds = [part for part in parts if part is not ...]
    return (
        origin is not None
        and origin is not type
        and all(allowed(option) for kind in kinds for option in options(kind))
        and built_later(hint) is None
        and "Callable" not in str(origin)
    )


# What no file can make, and None or nothing in a card.
CLOSED = {("problem", "instance"), ("ConvolutionEncoder", "convolutions")}


def test_every_setting_of_every_class_is_plain() -> None:
    """No parameter of anything that a card can name admits a callable, a path to a class or just
    anything: but for those that are listed, and those take no value at all."""
    odd = {
        (made.__name__, name)
        for base in BASES
        for path, made in known(base).items()
        if path.startswith("nco.")
        for name, hint in parameters(made).items()
        for option in options(hint)
        if not allowed(option)
    }
    assert odd == CLOSED


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_no_setting_takes_a_foreign_class(base: type, trace: Path) -> None:
    """Given a bomb, a path of a function or a dictionary, every setting of every class refuses."""
    evil = [shell(trace), {"class_path": "planted_module.Trace"}, {"a": 1}, [shell(trace)], b"x"]
    tried = 0
    for path, made in known(base).items():
        for name, hint in parameters(made).items():
            for value in evil:
                given = {"class_path": path, "init_args": {name: value}}
                with pytest.raises(InputError) as error:
                    instantiate(given, base, "card")
                assert f"card.{name}" in str(error.value), (path, hint)
                tried += 1
    assert tried or base in (Constraint, Visits)


# Where classes of version 0.1 lay, and what they are now.
OLD_PATHS: dict[str, tuple[type, str]] = {
    "nco.policies.foresight.ForesightPolicy": (Policy, "ForesightPolicy"),
    "nco.policies.ForesightPolicy": (Policy, "ForesightPolicy"),
    "nco.policies.attention.AttentionPolicy": (Policy, "AttentionPolicy"),
    "nco.policies.PointerNetwork": (Policy, "PointerNetwork"),
    "nco.envs.visits.Tour": (Visits, "Tour"),
    "nco.envs.fleet_routes.FleetRoutes": (Visits, "FleetRoutes"),
    "nco.envs.split_routes.SplitRoutes": (Visits, "SplitRoutes"),
    "nco.envs.optional_tour.OptionalTour": (Visits, "OptionalTour"),
    "nco.envs.constraints.allowed.AllowedVehicles": (Constraint, "AllowedVehicles"),
    "nco.envs.constraints.flexible_load.FlexibleLoad": (Constraint, "MixedLoad"),
    "nco.envs.constraints.FlexibleLoad": (Constraint, "MixedLoad"),
    "nco.envs.constraints.trips.TripWindows": (Constraint, "TripWindows"),
    "nco.envs.constraints.TimeWindows": (Constraint, "TimeWindows"),
}


@pytest.mark.parametrize("path", OLD_PATHS)
def test_paths_of_version_0_1(path: str) -> None:
    """Class paths in cards and checkpoints of the version before name the classes of today."""
    base, name = OLD_PATHS[path]
    rules = "cvrp" if name == "PointerNetwork" else "anyvrp"
    given = {"env": problem(rules)} if base is Policy else {}
    assert type(instantiate(path, base, "x", **given)).__name__ == name


def test_a_card_of_version_0_1() -> None:
    """The environment and policy of the shipped card vrp, as version 0.1 wrote it."""
    text = """
env:
  class_path: nco.envs.problem
  init_args: {name: anyvrp, published: false}
policy:
  class_path: nco.policies.ForesightPolicy
  init_args: {dim: 128, heads: 8, layers: 6, hidden: 512, norm: instance, tanh_clipping: 10.0,
    graph_context: true, distance_bias: true, width: 16}
"""
    shipped = load_policy("vrp")
    weights = shipped.policy.state_dict()
    env, policy = build(read_yaml(text), Path("card"), weights)
    policy.load_state_dict(weights)
    assert "MixedLoad" in [type(rule).__name__ for rule in env.constraints]


def test_an_environment_composed_in_a_card() -> None:
    """Rules, an objective of several terms and an encoder are nested classes with settings."""
    described = {
        "class_path": "nco.envs.RoutingEnv",
        "init_args": {
            "visits": "nco.envs.OptionalTour",
            "constraints": [{"class_path": "nco.envs.constraints.MinimumPrize"}],
            "objective": {
                "class_path": "nco.envs.objectives.Total",
                "init_args": {
                    "terms": ["nco.envs.objectives.Distance", "nco.envs.objectives.Penalty"],
                    "weights": [1, 0.5],
                },
            },
        },
    }
    env = instantiate(described, RoutingEnv, "env")
    assert [type(term).__name__ for term in env.objective.terms] == ["Distance", "Penalty"]
    assert env.objective.weights == (1.0, 0.5)


class Stranger(AttentionPolicy):
    """A policy of a module that the person imported."""

    def __init__(self, env: RoutingEnv, dim: int = 8):
        super().__init__(env, dim, heads=2)


def test_what_the_person_imported_is_on_the_list() -> None:
    """A policy class of another package is found by its path once it is there; not by its name."""
    env = problem("cvrp")
    assert isinstance(instantiate(f"{__name__}.Stranger", Policy, "x", env=env), Stranger)
    for path in ("Stranger", "nco.policies.Stranger", "other.Stranger"):
        with pytest.raises(InputError, match=r"'.*Stranger' is not registered as Policy, expected"):
            instantiate(path, Policy, "x", env=env)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 3.5}, r"policy.dim: 3.5, expected int"),
        ({"dim": True}, r"policy.dim: True, expected int"),
        ({"dim": 10**9}, r"policy.dim: 1000000000, expected at most 65536"),
        ({"dim": 65536, "heads": 8}, r"network is larger than the weights"),
        ({"layers": 65536}, r"network is larger than the weights"),
        ({"norm": "other"}, r"policy.norm: 'other', expected one of batch, instance"),
        ({"tanh_clipping": float("nan")}, r"policy.tanh_clipping: nan, expected a finite number"),
        ({"residual": "yes"}, r"policy.residual: 'yes', expected bool"),
        ({"env": ENV}, r"setting 'env' is unknown"),
        ({"encoder": {"class_path": "nco.policies.Encoder"}}, r"not registered as Encoder"),
        ({"heads": 0}, r"describes no policy"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A setting of another type or out of proportion is refused by name, before it is built."""
    card = {"env": ENV, "policy": {**POLICY, "init_args": SMALL | settings}}
    save_policy(tmp_path / "p", small_policy(problem("cvrp")), card)
    with pytest.raises(InputError, match=message) as error:
        load_policy(tmp_path / "p")
    assert "\n" not in str(error.value) and str(tmp_path / "p") in str(error.value)


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{k + 1}: &a{k + 1} [*a{k}, *a{k}, *a{k}]\n" for k in range(60)
)
HUGE_TEXTS = {
    "aliases without end": (f"{LAUGHS}env: *a60\npolicy: {{}}\n", "more than 20,000 entries"),
    "nested": ("env: " + "[" * 100_000, "more than 64 levels"),
    "nested blocks": ("".join(f"{' ' * k}- \n" for k in range(200)), "more than 64 levels"),
    "itself": ("env: &a [*a]\npolicy: {}", "'a' contains itself"),
    "itself by name": ("env: &a {b: *a}\npolicy: {}", "'a' contains itself"),
    "long": ("x: " + "1" * 300_000, "expected at most 262,144"),
    "a long number": ("env: " + "1" * 9_000, "a word of 9,000 characters"),
    "a tag": ("env: !!python/object/apply:os.system [id]\npolicy: {}", "no YAML"),
    "a bad date": ("env: 2001-99-99\npolicy: {}", "no YAML"),
    "an empty integer": ('env: !!int ""\npolicy: {}', "no YAML"),
    "a list as key": ("env: {[1]: 2}\npolicy: {}", "no YAML"),
}


@pytest.mark.parametrize("kind", HUGE_TEXTS)
def test_cards_that_unfold(kind: str, tmp_path: Path, run: Run) -> None:  # noqa: F811
    """YAML of aliases without end, deep or strange, is one line and exit code 2 at once."""
    text, message = HUGE_TEXTS[kind]
    save_policy(tmp_path / "p", small_policy(problem("cvrp")), {"env": ENV, "policy": POLICY})
    (tmp_path / "p" / CARD).write_text(text)
    (tmp_path / "square.vrp").write_text(SQUARE)
    result = run("solve", "square.vrp", "--solver", "policy", "--policy", "p")
    (line,) = result.err.splitlines()
    assert result.code == 2 and message in line and CARD in line


def test_a_card_that_is_no_file(tmp_path: Path) -> None:
    """A pipe or an endless device in place of the card is refused, not waited for."""
    save_policy(tmp_path / "p", small_policy(problem("cvrp")), {"env": ENV, "policy": POLICY})
    card = tmp_path / "p" / CARD
    card.unlink()
    os.mkfifo(card)
    with pytest.raises(InputError, match="is a pipe, expected a regular file"):
        load_policy(tmp_path / "p")
    card.unlink()
    card.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is a device, expected a regular file"):
        load_policy(tmp_path / "p")


def test_a_configuration_of_nco_fit_is_read() -> None:
    """The text that a checkpoint of version 0.1 carries is within the bounds."""
    assert read_yaml(TINY) == yaml.safe_load(TINY)
    anchors = "a: &x {b: 1}\nc: *x\nd: [*x, *x]"
    assert read_yaml(anchors) == yaml.safe_load(anchors)
