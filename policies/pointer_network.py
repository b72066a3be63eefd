"""The Pointer Network: an LSTM reads the nodes, another points at them one after another."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from nco.data.errors import InputError
from nco.envs import Context, Features, RoutingEnv
from nco.policies.base import Policy, Trajectory
from nco.policies.layers import rows
from nco.policies.lstm import LSTM
from nco.policies.lstm_encoder import LSTMEncoder


@dataclass(frozen=True)
class PointerNetworkCache:
    """
    What the decoder computes once per instance.

    Parameters
    ----------
    inputs
        Decoder inputs by current node, ``[1, B, N + 1, D]``; the last row: no node yet.
    keys, logit_keys
        Of the glimpses and of the pointer, ``[B, N, D]``; no glimpse keys without glimpses.
    hidden, cell
        The LSTM's state before the first step, ``[B, D]``.
    """

    inputs: Tensor
    keys: Tensor | None
    logit_keys: Tensor
    hidden: Tensor
    cell: Tensor


class AdditiveScore(nn.Module):
    """
    ``v . tanh(W1 key + W2 query)`` for all pairs (Vinyals et al. 2015, equation 3).

    Parameters
    ----------
    dim
        Channels of keys and queries.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.key = nn.Linear(dim, dim, bias=False)
        self.query = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores ``[B, Q, N]`` of queries ``[B, Q, D]`` and projected keys ``[B, N, D]``."""
        pairs = self.query(query).unsqueeze(2) + keys.unsqueeze(1)
        return self.score(pairs.tanh()).squeeze(-1)


class DotScore(nn.Module):
    """
    ``(W1 key) . (W2 query) / sqrt(D)`` for all pairs (Luong et al. 2015), a fraction of the work.

    Parameters
    ----------
    dim
        Channels of keys and queries.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.key = nn.Linear(dim, dim, bias=False)
        self.query = nn.Linear(dim, dim)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores ``[B, Q, N]`` of queries ``[B, Q, D]`` and projected keys ``[B, N, D]``."""
        return self.query(query) @ keys.mT * keys.shape[-1] ** -0.5


SCORES: dict[str, type[AdditiveScore] | type[DotScore]] = {
    "additive": AdditiveScore,
    "dot": DotScore,
}


class PointerNetwork(Policy):
    """
    LSTM encoder, LSTM decoder, additive pointer attention.

    Vinyals et al. (2015) is ``glimpses=0, tanh_clipping=0``; Bello et al. (2016) is
    ``glimpses=1, tanh_clipping=10``; both are without ``residual``. The decoder's input is the
    input embedding of the current node, plus a linear map of the context's scalars where the
    problem has them.

    Parameters
    ----------
    env
        The problem, of which only the sizes of the features are read.
    dim
        Channels of embeddings and hidden states.
    glimpses
        Times that attention refines the query before pointing.
    tanh_clipping
        Bound C of the logits; 0 leaves them unbounded.
    residual
        Adds the input of each LSTM to its output, and the query of each glimpse to its result, so
        that positions reach the pointer directly; the papers do not.
    score
        How a query meets a key: ``additive`` as in the papers, or ``dot``, which is faster.

    Raises
    ------
    InputError
        A rule changes node features on the way: an LSTM has read them once.
    """

    recurrent = True

    def __init__(
        self,
        env: RoutingEnv,
        dim: int = 128,
        glimpses: int = 1,
        tanh_clipping: float = 10.0,
        residual: bool = True,
        score: Literal["additive", "dot"] = "additive",
    ):
        super().__init__()
        for rule in env.constraints:
            if rule.dynamic_dim:
                raise InputError(
                    f"PointerNetwork cannot see the changing node features of {type(rule).__name__}"
                )
        spec = env.spec
        self.glimpses = glimpses
        self.tanh_clipping = tanh_clipping
        self.residual = residual
        self.encoder = LSTMEncoder(spec, dim, residual)
        self.start = nn.Parameter(torch.empty(1, dim).uniform_(-(dim**-0.5), dim**-0.5))
        self.scalars = nn.Linear(spec.context_dim, dim, bias=False) if spec.context_dim else None
        self.lstm = LSTM(dim, dim, batch_first=True)
        self.glimpse = SCORES[score](dim) if glimpses else None
        self.pointer = SCORES[score](dim)

    def encode(self, features: Features) -> PointerNetworkCache:
        inputs, nodes, (hidden, cell) = self.encoder.read(features)
        start = self.start.expand(len(inputs), -1, -1)
        return PointerNetworkCache(
            inputs=torch.cat([inputs, start], dim=1).unsqueeze(0),
            keys=None if self.glimpse is None else self.glimpse.key(nodes),
            logit_keys=self.pointer.key(nodes),
            hidden=hidden,
            cell=cell,
        )

    def step(
        self, embeddings: PointerNetworkCache, context: Context, memory: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        batch, rollouts, _ = context.mask.shape
        state = memory or self._first_memory(embeddings, rollouts)
        hidden, cell = (part.reshape(1, batch * rollouts, -1) for part in state)
        inputs = self._inputs(embeddings, context).view(batch * rollouts, 1, -1)
        output, after = self.lstm(inputs, (hidden, cell))
        query = inputs + output if self.residual else output
        log_probs = self._point(embeddings, query.view(batch, rollouts, -1), context.mask)
        return log_probs, tuple(part.view(batch, rollouts, -1) for part in after)

    def log_probs(self, embeddings: PointerNetworkCache, trajectory: Trajectory) -> Tensor:
        """See `Policy.log_probs`: the LSTM runs once over the given rollouts."""
        batch, rollouts, steps = trajectory.actions.shape
        inputs = self._inputs(embeddings, trajectory.context).view(batch * rollouts, steps, -1)
        state = self._first_memory(embeddings, rollouts)
        hidden, cell = (part.reshape(1, batch * rollouts, -1) for part in state)
        output, _ = self.lstm(inputs, (hidden, cell))
        query = (inputs + output if self.residual else output).reshape(batch, rollouts * steps, -1)
        scores = self._point(embeddings, query, trajectory.context.mask)
        return scores.view(batch, rollouts, steps, -1)

    def _first_memory(self, cache: PointerNetworkCache, rollouts: int) -> tuple[Tensor, ...]:
        return tuple(s.unsqueeze(1).expand(-1, rollouts, -1) for s in (cache.hidden, cache.cell))

    def _inputs(self, cache: PointerNetworkCache, context: Context) -> Tensor:
        """The LSTM's inputs ``[B, R, D]``: where the vehicle is, and the context's scalars."""
        found = rows(cache.inputs, context.nodes[..., -1:])
        return found if self.scalars is None else found + self.scalars(context.scalars)

    def _point(self, cache: PointerNetworkCache, query: Tensor, mask: Tensor) -> Tensor:
        """Log-probabilities ``[B, Q, N]`` in float32 from queries ``[B, Q, D]``."""
        for _ in range(self.glimpses):
            assert self.glimpse is not None and cache.keys is not None
            scores = self.glimpse(query, cache.keys).masked_fill(~mask, float("-inf"))
            glimpse = scores.softmax(-1).to(cache.keys.dtype) @ cache.keys
            query = query + glimpse if self.residual else glimpse
        logits = self.pointer(query, cache.logit_keys).float()
        if self.tanh_clipping:
            logits = self.tanh_clipping * logits.tanh()
        return logits.masked_fill(~mask, float("-inf")).log_softmax(-1)
