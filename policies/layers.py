"""Building blocks: attention and feed-forward layers with the normalisations of the field."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Normalization = Literal["batch", "instance", "layer", "rms", "none"]
Activation = Literal["relu", "swiglu"]


class Norm(nn.Module):
    """
    Normalises embeddings ``[B, N, D]`` per channel.

    Parameters
    ----------
    dim
        Channels D.
    kind
        ``batch``: over instances and nodes (Kool et al. 2019); ``instance``: over the nodes of
        each instance (Kwon et al. 2020); ``layer``: over the channels of each node; ``rms``: the
        same without centring (Zhang and Sennrich 2019); ``none``.
    """

    def __init__(self, dim: int, kind: Normalization = "batch"):
        super().__init__()
        self.kind = kind
        if kind == "batch":
            self.batch = nn.BatchNorm1d(dim)
        elif kind != "none":
            self.weight = nn.Parameter(torch.ones(dim))
            self.bias = nn.Parameter(torch.zeros(dim)) if kind != "rms" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "batch":
            return self.batch(x.flatten(0, 1)).view_as(x)
        if self.kind == "instance":
            # Channels stay last: InstanceNorm1d would ask for two transposes of x.
            variance, mean = torch.var_mean(x.float(), dim=1, keepdim=True, correction=0)
            scale = (variance + 1e-5).rsqrt() * self.weight
            return x * scale + (self.bias - mean * scale)
        if self.kind == "layer":
            return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)
        if self.kind == "rms":
            return F.rms_norm(x.float(), x.shape[-1:], self.weight, 1e-5)
        return x


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """
    Scaled dot-product attention, the one place that chooses a kernel for it.

    Parameters
    ----------
    q, k, v
        ``[B, H, Q, d]``, ``[B, H, N, d]``, ``[B, H, N, d]``.
    mask
        Bool, broadcastable to ``[B, H, Q, N]``; True = takes part.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # The CPU kernel is 3 to 5 times slower backwards in bfloat16 than in float32 at d = 16.
    with torch.autocast("cpu", enabled=False):
        mixed = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)
    return mixed.to(v.dtype)


class SelfAttention(nn.Module):
    """
    Multi-head self-attention over nodes, ``[B, N, D]`` to ``[B, N, D]`` (Kool et al. 2019, eq. 2).

    Parameters
    ----------
    dim, heads
        Channels D and attention heads; D is a multiple of the heads.
    bias
        Whether the output projection has a bias.
    """

    def __init__(self, dim: int, heads: int, bias: bool = True):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(attend(q, k, v).transpose(1, 2).flatten(-2))


class SwiGLU(nn.Module):
    """
    Gated feed-forward: ``(silu(x A) * x B) C`` (Shazeer 2020, "GLU variants improve transformer").

    Parameters
    ----------
    dim, hidden
        Channels in and out, and in between.
    """

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.inner = nn.Linear(dim, 2 * hidden, bias=False)
        self.outer = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.inner(x).chunk(2, -1)
        return self.outer(F.silu(gate) * value)


class EncoderLayer(nn.Module):
    """
    Attention and feed-forward sublayers, each with a skip connection and a normalisation.

    Parameters
    ----------
    dim, heads, hidden
        Channels, attention heads, width of the feed-forward sublayer.
    norm
        See `Norm`. Without a normalisation each sublayer starts as nothing (a learned scale of
        zero, ReZero, Bachlechner et al. 2021), else deep stacks would not train.
    pre_norm
        Normalises what goes into a sublayer instead of what comes out of the sum; the stack then
        wants another normalisation at its end.
    activation
        Of the feed-forward sublayer: ``relu``, or the gated ``swiglu``.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        norm: Normalization,
        pre_norm: bool = False,
        activation: Activation = "relu",
    ):
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = SelfAttention(dim, heads)
        self.norm_attention = Norm(dim, norm)
        self.feed_forward = (
            SwiGLU(dim, hidden)
            if activation == "swiglu"
            else nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        )
        self.norm_feed_forward = Norm(dim, norm)
        self.gates = nn.Parameter(torch.zeros(2)) if norm == "none" else None

    def forward(self, x: Tensor) -> Tensor:
        a, f = (1.0, 1.0) if self.gates is None else self.gates
        if self.pre_norm:
            x = x + a * self.attention(self.norm_attention(x))
            return x + f * self.feed_forward(self.norm_feed_forward(x))
        x = self.norm_attention(x + a * self.attention(x))
        return self.norm_feed_forward(x + f * self.feed_forward(x))


def rows(tables: Tensor, nodes: Tensor) -> Tensor:
    """Sum over K of row ``nodes[B, R, k]`` of ``tables[k]``: ``[B, R, D]``; -1 takes the last."""
    count, batch, n, _ = tables.shape
    # Rows of one flat table by index_select: a gather would need the index spread over D.
    offset = torch.arange(count * batch, device=nodes.device).view(count, batch, 1) * n
    index = torch.where(nodes < 0, n - 1, nodes).permute(2, 0, 1) + offset
    found = tables.flatten(0, 2).index_select(0, index.flatten())
    return found.view(count, batch, -1, found.shape[-1]).sum(0)


def init_uniform(module: nn.Module) -> None:
    """Draws weight matrices from U(-1/sqrt(d), 1/sqrt(d)), d the last dimension (Kool et al.)."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            bound = parameter.shape[-1] ** -0.5
            nn.init.uniform_(parameter, -bound, bound)
