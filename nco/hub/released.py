"""
Released policies: a folder with `model.safetensors` and `policy.yaml`, nothing pickled.

``policy.yaml`` names the environment and the architecture by class path, as a training
configuration does, and tells where the weights come from and how good they are.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from safetensors.torch import save_file
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.limits import read_bytes
from nco.data.registry import Registry
from nco.envs import RoutingEnv
from nco.envs.problems.stated import problem_of
from nco.hub.building import build
from nco.hub.card_text import MAX_CHARACTERS, read_yaml
from nco.hub.coverage import obstacles, widen
from nco.hub.weights import (
    DESCRIPTION,
    UNDESCRIBED,
    WEIGHTS,
    load_weights,
    policy_weights,
    read_checkpoint,
)
from nco.policies import Policy
from nco.solution import Solution, judge

if TYPE_CHECKING:
    from nco.decoding import Search

CARD = "policy.yaml"


@dataclass(frozen=True)
class Released:
    """
    A policy that is ready to decode.

    Parameters
    ----------
    name
        As the user called it.
    policy
        In evaluation mode, float32, on the CPU.
    env
        The problem that it was trained on.
    card
        The whole of `policy.yaml`: ``env``, ``policy``, ``training``, ``measured``.
    """

    name: str
    policy: Policy
    env: RoutingEnv
    card: Mapping[str, Any] = field(default_factory=dict)

    def require(self, env: RoutingEnv) -> None:
        """
        Refuses problems that the policy does not serve: see `nco.hub.coverage`.

        Raises
        ------
        InputError
            A rule is in the way; the message names it.
        """
        odd = obstacles(self.env, env)
        if odd:
            raise InputError(
                f"policy {self.name!r} does not support this problem: they differ in "
                f"{', '.join(odd)}; the policy is for {' + '.join(parts(self.env))}"
            )

    def adapt(self, env: RoutingEnv, instance: TensorDict) -> tuple[RoutingEnv, TensorDict]:
        """
        The environment in which the policy decodes instances ``[B]`` of a problem, and these there.

        Raises
        ------
        InputError
            See `require`.
        """
        self.require(env)
        if parts(env) == parts(self.env):
            return env, instance  # perhaps in other arithmetic
        return self.env, widen(self.env, env, instance)

    def solve(
        self,
        instances: TensorDict,
        search: "Search | None" = None,
        problem: str | RoutingEnv | None = None,
        seed: int = 1234,
        device: torch.device | str = "cpu",
    ) -> list[Solution]:
        """
        Decodes instances ``[B]`` in large batches, for throughput.

        Parameters
        ----------
        instances
            Of a problem that the policy serves.
        search
            How to decode, see `nco.decoding`; greedily by default.
        problem
            Its name, or an environment; by default the rules that the instances' attributes ask
            for.
        seed
            Of sampling.
        device
            Where to decode.

        Returns
        -------
        list of Solution
            One for each instance, checked.

        Raises
        ------
        InputError
            The policy does not serve the problem.

        Examples
        --------
        >>> import nco
        >>> solutions = nco.load_policy("tsp").solve(nco.generate("tsp", size=20, count=4))
        >>> all(solution.feasible for solution in solutions)
        True
        """
        from nco.decoding import Single
        from nco.evaluation.evaluate import decode_batches

        env = problem_of(instances, problem)
        env.require(instances)
        wide, placed = self.adapt(env, instances)
        found, seconds = decode_batches(
            wide, self.policy, placed, search or Single(), seed=seed, device=device
        )
        share, name = seconds / max(1, len(found)), f"policy {self.name}"
        plain = instances.cpu()
        return [
            judge(env, plain[row : row + 1], routes, share, name)
            for row, routes in enumerate(found)
        ]


def parts(env: RoutingEnv) -> tuple[str, ...]:
    """Names of what an environment is composed of: visits, constraints, objective."""
    return tuple(type(p).__name__ for p in (env.visits, *env.constraints, env.objective))


# Policies that plug-ins add, made or loaded when they are asked for.
POLICIES: Registry[str, Callable[[], Released]] = Registry("policy", {})


def known_policies() -> list[str]:
    """Names of all policies that may be asked for: the shipped ones, then those of plug-ins."""
    return [*shipped(), *POLICIES]


def shipped() -> list[str]:
    """Names of the policies that come with the package."""
    return sorted(path.parent.name for path in _shelf().glob(f"*/{CARD}"))


def _shelf() -> Path:
    """Where the shipped policies lie in the installed package."""
    return Path(str(files("nco"))) / "shipped"


@cache
def shipped_policy(name: str) -> Released:
    """A shipped policy, or that of a plug-in, loaded once."""
    return POLICIES[name]() if name in POLICIES else load_policy(name)


def default_policy(env: RoutingEnv) -> Released:
    """
    The shipped policy for a problem: the one trained on just its rules if there is one.

    Where no shipped one serves it, one of a plug-in.

    Raises
    ------
    InputError
        There is none.
    """
    for names in (shipped(), list(POLICIES)):
        able = [r for r in map(shipped_policy, names) if not obstacles(r.env, env)]
        if able:
            return min(able, key=lambda released: len(released.env.constraints))
    raise InputError(
        f"no shipped policy supports this problem ({' + '.join(parts(env))}); there are "
        f"{', '.join(shipped()) or 'none'}"
    )


def load_policy(source: str | Path) -> Released:
    """
    Loads a policy.

    Parameters
    ----------
    source
        Name of a shipped policy, a released folder, or a training checkpoint.

    Raises
    ------
    InputError
        There is no such policy, or it is damaged.
    """
    path = Path(source)
    if str(source) in POLICIES:
        return shipped_policy(str(source))
    if str(source) in shipped():
        path = _shelf() / str(source)
    if path.is_dir():
        card = _read_card(path / CARD)
    elif path.exists():
        card = card_of_checkpoint(path)
    else:
        raise InputError(
            f"policy {str(source)!r}: no such folder or checkpoint, and not among the shipped ones "
            f"({', '.join(known_policies()) or 'none'})"
        )
    weights = policy_weights(path)
    env, policy = build(card, path, weights)
    load_weights(policy, weights, path)
    return Released(str(source), policy.eval(), env, card)


def card_of_checkpoint(path: Path) -> dict[str, Any]:
    """
    The card that a training checkpoint amounts to: its environment, policy and whole config.

    Raises
    ------
    InputError
        The checkpoint is none, or of a policy that cannot be described.
    """
    checkpoint = read_checkpoint(path)
    text = checkpoint.get("config") or checkpoint.get(DESCRIPTION)
    if not isinstance(text, str):
        reason = checkpoint.get(UNDESCRIBED, "no configuration in it")
        raise InputError(
            f"{path}: {reason}, expected a checkpoint of nco fit or of a RoutingModule"
        )
    try:
        config = read_yaml(text)
        model = config["model"]
        policy = dict(config["policy"] if "policy" in config else model["init_args"]["policy"])
        policy["init_args"] = _without(policy.get("init_args") or {}, "env")
        training = {
            "epoch": checkpoint["epoch"],
            "step": checkpoint["global_step"],
            **({"precision": checkpoint["precision"]} if "precision" in checkpoint else {}),
            "model": {**model, "init_args": _without(model["init_args"], "env", "policy")},
            **({"data": config["data"]} if "data" in config else {}),
        }
        card = {"env": config["env"], "policy": policy, "training": _portable(training)}
    except (KeyError, TypeError, AttributeError, InputError):
        raise InputError(f"{path}: no policy in its configuration") from None
    return card


def _without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in names}


def _portable(value: Any) -> Any:
    """Absolute paths as file names: a card says what was used, not where it lay."""
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def save_policy(
    directory: Path,
    policy: Policy,
    card: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
    overwrite: bool = False,
) -> None:
    """
    Writes a released policy: all of it or nothing.

    Parameters
    ----------
    directory
        Where to.
    policy, card
        What; the card has ``env`` and ``policy``.
    dtype
        Of the stored floating point weights.
    overwrite
        Whether a released policy that is there may be replaced.

    Raises
    ------
    InputError
        The directory exists (and is no released policy that may be replaced), or cannot be written.
    """
    if directory.exists() and not (overwrite and (directory / CARD).exists()):
        raise InputError(f"{directory}: exists already, expected a new folder")
    state = {
        name: value.detach().to(dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in policy.state_dict().items()
    }
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
        try:
            scratch.chmod(0o755)
            save_file(state, scratch / WEIGHTS)
            (scratch / WEIGHTS).chmod(0o644)
            (scratch / CARD).write_text(yaml.safe_dump(dict(card), sort_keys=False))
            if directory.exists():
                shutil.rmtree(directory)
            scratch.rename(directory)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written ({error.strerror})") from None


def _read_card(path: Path) -> dict[str, Any]:
    try:
        raw = read_bytes(path, MAX_CHARACTERS)
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: cannot be read ({reason}), expected a card") from None
    try:
        card = read_yaml(raw.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no YAML ({error})") from None
    except InputError as error:
        raise InputError(f"{path}: {error}, expected a card") from None
    if not isinstance(card, dict) or not {"env", "policy"} <= card.keys():
        raise InputError(f"{path}: expected the keys env and policy")
    return card
