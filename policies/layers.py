"""Building blocks: attention and feed-forward layers with the normalisations of the field."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nco.data.native import is_exactly
from nco.policies import fused, native

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
        if self.kind == "instance" and self.bias is not None:
            if x.shape[-1] % 16 == 0 and native.fits(x, self.weight):
                return fused.instance_norm(x, self.weight, self.bias)
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
    kind = v.dtype
    with torch.autocast("cpu", enabled=False):
        q, k, v = q.float(), k.float(), v.float()
        if native.fits_attention(q, k, v, mask) and native.attention_pays(
            *(len(q), q.shape[2], k.shape[2], q.shape[1], q.shape[3]),
            native.needs_gradient(q, k, v),
        ):
            return native.attention(q, k, v, mask).to(kind)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).to(kind)


def point(
    scores: Tensor, bias: Tensor | None, mask: Tensor, clipping: float, scale: float
) -> Tensor:
    """
    Log-probabilities from the scores of a pointer, in float32.

    Parameters
    ----------
    scores
        ``[B, R, N]``.
    bias
        What is added to the bounded logits, ``[B, R, N]``, or None.
    mask
        ``[B, R, N]`` bool, True = may be chosen.
    clipping, scale
        The logits are ``clipping * tanh(scale * scores)``.
    """
    bias = None if bias is None else bias.expand_as(scores)
    if mask.shape == scores.shape and native.fits(scores, *(() if bias is None else (bias,))):
        return native.pointer(scores, bias, mask, clipping, scale)
    logits = clipping * (scores * scale).tanh()
    if bias is not None:
        logits = logits + bias
    return logits.masked_fill(~mask, float("-inf")).log_softmax(-1)


def require_heads(dim: int, heads: int) -> None:
    """
    Refuses channels that cannot be divided among attention heads.

    Raises
    ------
    ValueError
        ``dim`` is no multiple of ``heads``.
    """
    if heads < 1 or dim < 1 or dim % heads:
        raise ValueError(f"{dim} channels for {heads} heads, expected a multiple of the heads")


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
        require_heads(dim, heads)
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        batch, nodes, _, heads, d = qkv.shape
        graded = native.needs_gradient(qkv)
        pays = native.attention_pays(batch, nodes, nodes, heads, d, graded)
        if pays and native.fits_self_attention(qkv):  # spares the gradient three copies
            return self.out(native.self_attention(qkv))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
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
        if self._is_plain() and fused.fits(self, x):
            return fused.encoder_layer(self, x)
        if self.pre_norm:
            x = x + self._weighted(0, self.attention(self.norm_attention(x)))
            return x + self._weighted(1, self.feed_forward(self.norm_feed_forward(x)))
        x = self.norm_attention(x + self._weighted(0, self.attention(x)))
        return self.norm_feed_forward(x + self._weighted(1, self.feed_forward(x)))

    def _is_plain(self) -> bool:
        """Whether all parts are of the known classes, without hooks."""
        norms = (self.norm_attention, self.norm_feed_forward)
        return (
            is_exactly(self, EncoderLayer)
            and is_exactly(self.attention, SelfAttention)
            and all(is_exactly(norm, Norm) for norm in norms)
        )

    def _weighted(self, sublayer: int, x: Tensor) -> Tensor:
        return x if self.gates is None else self.gates[sublayer] * x


def rows(tables: Tensor, nodes: Tensor) -> Tensor:
    """Sum over K of row ``nodes[B, R, k]`` of ``tables[k]``: ``[B, R, D]``; -1 takes the last."""
    count, batch, n, width = tables.shape
    # Rows of flat tables by index_select: a gather would need the index spread over D.
    begin = torch.arange(batch, device=nodes.device).unsqueeze(-1) * n
    found = None
    for k in range(count):
        row = nodes[..., k]
        index = torch.where(row < 0, n - 1, row) + begin
        one = tables[k].flatten(0, 1).index_select(0, index.flatten())
        found = one if found is None else found + one
    assert found is not None
    return found.view(batch, -1, width)


def init_uniform(module: nn.Module) -> None:
    """Draws weight matrices from U(-1/sqrt(d), 1/sqrt(d)), d the last dimension (Kool et al.)."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            bound = parameter.shape[-1] ** -0.5
            nn.init.uniform_(parameter, -bound, bound)
