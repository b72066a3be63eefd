"""Training without the command line: what it leaves can be used like a run of `nco fit`."""

import json
from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
from tensordict import TensorDict
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from nco.cli import main
from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, InstanceGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import Single
from nco.envs import Features, RoutingEnv, problem
from nco.envs.problems.table import PROBLEMS
from nco.hub.building import build
from nco.hub.describing import describe, describe_policy
from nco.hub.released import card_of_checkpoint, load_policy
from nco.policies import AttentionPolicy, Policy
from nco.policies.encoder import Encoder
from nco.policies.graph import GatedGCN
from nco.training import REINFORCE, Exponential, Generated, GreedyRollout, RolloutMean
from nco.training.stream import Fixed


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run writes into a folder of its own."""
    monkeypatch.chdir(tmp_path)


def train(module: REINFORCE, data: object, path: str = "own.ckpt") -> Path:
    """Two steps by Lightning's own trainer; a checkpoint."""
    trainer = L.Trainer(
        max_steps=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, data)  # type: ignore[arg-type]
    trainer.save_checkpoint(path)
    return Path(path)


def tiny(env: RoutingEnv) -> AttentionPolicy:
    """A small network with none of its settings at its default."""
    return AttentionPolicy(env, 16, heads=2, layers=1, hidden=8, distance_bias=True)


def generated(generator: InstanceGenerator) -> Generated:
    """A few instances."""
    return Generated(generator, batch_size=4, batches=2, val_count=4, val_batch_size=4)


@pytest.fixture
def trained() -> tuple[REINFORCE, Path]:
    """A module after two steps, and its checkpoint."""
    env = problem("cvrp")
    module = REINFORCE(env, tiny(env), samples=3, leader=2.0)
    return module, train(module, generated(CVRPGenerator(5)))


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules have the same state."""
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_its_checkpoint_is_a_policy(trained: tuple[REINFORCE, Path]) -> None:
    """`load_policy` builds the same network for the same problem, which decodes the same tours."""
    module, path = trained
    released = load_policy(path)
    assert same_weights(released.policy, module.policy)
    instance = CVRPGenerator(8)(5, seeded(3))
    mine = Single()(module.env, module.policy.eval(), instance)
    theirs = Single()(released.env, released.policy, instance)
    assert torch.equal(mine.actions, theirs.actions)
    training = card_of_checkpoint(path)["training"]
    assert training["model"]["init_args"] == {"samples": 3, "leader": 2.0}
    assert (training["step"], training["precision"]) == (2, "32-true")


def test_it_exports_and_evaluates(
    trained: tuple[REINFORCE, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """`nco export` and `nco evaluate` take it like a checkpoint of `nco fit`."""
    _, path = trained
    assert main(["export", str(path), "released"]) == 0
    capsys.readouterr()
    costs = []
    for policy in (str(path), "released"):
        words = ["--problem", "cvrp", "--size", "6", "--count", "4", "--policy", policy, "--json"]
        assert main(["evaluate", *words]) == 0
        costs.append(json.loads(capsys.readouterr().out)["cost"])
    assert costs[0] == costs[1]


def test_a_module_loads_from_its_checkpoint(trained: tuple[REINFORCE, Path]) -> None:
    """With its settings and weights; what is given in the call counts for more."""
    module, path = trained
    again = REINFORCE.load_from_checkpoint(path)
    assert (again.samples, again.leader, type(again.baseline)) == (3, 2.0, RolloutMean)
    assert same_weights(again, module)
    assert REINFORCE.load_from_checkpoint(str(path), samples=7).samples == 7
    more = train(again, generated(CVRPGenerator(5)), "more.ckpt")
    assert REINFORCE.load_from_checkpoint(more).samples == 3


def test_what_a_baseline_has_learned_is_restored() -> None:
    """A baseline that is given in the call takes its state from the checkpoint, or is refused."""
    env = problem("tsp")
    module = REINFORCE(env, tiny(env), samples=2, baseline=Exponential(0.5))
    path = train(module, generated(TSPGenerator(5)))
    again = REINFORCE.load_from_checkpoint(path, baseline=Exponential(0.5))
    assert same_weights(again, module) and not again.baseline.value.isnan()
    with pytest.raises(InputError, match=r"own.ckpt: no baseline\..* in it, expected the state"):
        REINFORCE.load_from_checkpoint(path, baseline=GreedyRollout(TSPGenerator(5), count=2))


class Instances(Dataset[TensorDict]):
    """Instances one by one, with a batch dimension of one or none."""

    def __init__(self, count: int, own_dimension: bool):
        self.drawn = TSPGenerator(5)(count, seeded(1))
        self.own_dimension = own_dimension

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, index: int) -> TensorDict:
        return self.drawn[index : index + 1] if self.own_dimension else self.drawn[index]


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
@pytest.mark.parametrize("own_dimension", [False, True])
def test_a_data_set_of_single_instances_collates(own_dimension: bool) -> None:
    """Instances one by one make the same batches as instances together."""
    env = problem("tsp")
    weights = []
    for loader in (
        DataLoader(Instances(8, own_dimension), batch_size=4),
        Fixed([TSPGenerator(5)(8, seeded(1))[begin : begin + 4] for begin in (0, 4)]),
    ):
        torch.manual_seed(2)
        module = REINFORCE(env, tiny(env), samples=2)
        train(module, loader)
        weights.append(module)
    assert same_weights(*weights)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_environment_is_described(name: str) -> None:
    """What is built from the description has the same components with the same settings."""
    env = problem(name)
    policy = AttentionPolicy(env, 8, heads=2, layers=1)
    card = json.loads(json.dumps(describe_policy(env, policy)))  # plain data
    assert describe(rebuilt(card, policy)[0], "env") == card["env"]


def rebuilt(card: dict[str, object], policy: Policy) -> tuple[RoutingEnv, Policy]:
    """What a card describes."""
    return build(card, Path("card"), policy.state_dict())


def test_an_own_encoder_is_described() -> None:
    """A class, or a partial of one, that the policy builds with the sizes of the features."""
    env = problem("tsp")
    policy = AttentionPolicy(env, heads=2, encoder=partial(GatedGCN, dim=8))
    card = describe_policy(env, policy)
    assert card["policy"]["init_args"]["encoder"]["init_args"] == {"dim": 8}
    again = rebuilt(card, policy)[1]
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in policy.state_dict().items()
    }


class Odd(Encoder):
    """An encoder with a setting that is no data."""

    def __init__(self, spec: object, table: Tensor, dim: int = 8):
        super().__init__()
        self.dim, self.table = dim, nn.Parameter(table)

    def forward(self, features: Features) -> Tensor:
        return self.table.expand(*features.nodes.shape[:2], -1)


def test_what_cannot_be_described_is_told_when_it_is_wanted() -> None:
    """Training goes on; loading the checkpoint tells which setting is no data."""
    env = problem("tsp")
    policy = AttentionPolicy(env, heads=2, encoder=partial(Odd, table=torch.rand(8)))
    path = train(REINFORCE(env, policy, samples=2), generated(TSPGenerator(5)))
    with pytest.raises(InputError, match=r"own.ckpt: policy.encoder.table: a Tensor cannot be"):
        load_policy(path)


def test_a_class_within_a_function_is_refused() -> None:
    """It has no name by which another program could import it."""

    class Hidden(AttentionPolicy):
        pass

    with pytest.raises(InputError, match="Hidden has no module that can be imported"):
        describe(Hidden(problem("tsp"), 8, heads=2), "policy")
