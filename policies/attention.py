"""The Attention Model and its descendants: an encoder and a pointer decoder."""

from collections.abc import Callable

import torch
from torch import Tensor

from nco.data.native import keeps
from nco.envs import Context, Features, FeatureSpec, RoutingEnv
from nco.policies import native_rollout
from nco.policies.base import NativeRollout, Plan, Policy, Trajectory
from nco.policies.decoder import PointerCache, PointerDecoder
from nco.policies.encoder import AttentionEncoder, Encoder
from nco.policies.layers import Activation, Normalization, init_uniform
from nco.policies.teacher_forcing import evaluate_in_memory, evaluate_in_parts


class AttentionPolicy(Policy):
    """
    Attention encoder, pointer decoder (Kool et al. 2019; POMO, Kwon et al. 2020; ReLD, 2025).

    The defaults are the Attention Model (but for ``vehicle_features=False``). POMO is ``layers=6,
    norm="instance", graph_context=False, project_logit_keys=False``.

    Parameters
    ----------
    env
        The problem, of which only the sizes of the features are read.
    dim, heads, layers, hidden, norm, pre_norm, activation, vehicle_features
        Of the encoder, see `AttentionEncoder`; the decoder shares ``heads``.
    tanh_clipping, graph_context, project_logit_keys, residual, distance_bias, neighbours
        Of the decoder, see `PointerDecoder`.
    encoder
        Builds another encoder from the sizes of the features (in YAML: a class and its settings
        without ``spec``); the settings of the default one then say nothing, and the decoder has
        the encoder's channels.
    """

    def __init__(
        self,
        env: RoutingEnv,
        dim: int = 128,
        heads: int = 8,
        layers: int = 3,
        hidden: int = 512,
        norm: Normalization = "batch",
        tanh_clipping: float = 10.0,
        graph_context: bool = True,
        project_logit_keys: bool = True,
        residual: bool = False,
        distance_bias: bool = False,
        neighbours: int = 0,
        encoder: Callable[[FeatureSpec], Encoder] | None = None,
        pre_norm: bool = False,
        activation: Activation = "relu",
        vehicle_features: bool = True,
    ):
        super().__init__()
        self.encoder: Encoder
        if encoder is None:
            self.encoder = AttentionEncoder(
                env.spec, dim, heads, layers, hidden, norm, pre_norm, activation, vehicle_features
            )
        else:
            self.encoder = encoder(env.spec)
        self.decoder = PointerDecoder(
            env.spec,
            self.encoder.dim,
            heads,
            tanh_clipping,
            graph_context,
            project_logit_keys,
            residual,
            distance_bias,
            neighbours,
        )
        init_uniform(self)

    def encode(self, features: Features) -> PointerCache:
        return self.decoder.precompute(self.encoder(features), features)

    def step(
        self, embeddings: PointerCache, context: Context, memory: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return self.decoder(embeddings, context), memory

    def drive(
        self, embeddings: PointerCache, plan: Plan, rng: torch.Generator | None
    ) -> NativeRollout | None:
        own = keeps(self, AttentionPolicy, "step")
        if not own or not native_rollout.fits(self.decoder, embeddings, plan):
            return None
        return native_rollout.drive(self.decoder, embeddings, plan, rng)

    def evaluate(self, embeddings: PointerCache, trajectory: Trajectory | NativeRollout) -> Tensor:
        if isinstance(trajectory, NativeRollout):
            return native_rollout.likelihood(self.decoder, embeddings, trajectory)
        own = keeps(self, AttentionPolicy, "step", "log_probs")
        if not own:
            return super().evaluate(embeddings, trajectory)
        if trajectory.actions.device.type != "cpu":
            return evaluate_in_memory(super().evaluate, embeddings, trajectory, self.decoder.heads)
        return evaluate_in_parts(self.decoder, embeddings, trajectory)
