"""Picking nodes: against plain probabilities, and with the most awkward draws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding import Greedy, Sampling, strategies


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log_probs(*shape: int, seed: int = 0) -> Tensor:
    """Random scores, some of them minus infinity, never all of a row."""
    logits = 2 * torch.randn(shape, generator=seeded(seed))
    forbidden = torch.rand(shape, generator=seeded(seed + 1)) < 0.3
    forbidden[..., -1] = False
    return logits.masked_fill(forbidden, -torch.inf).log_softmax(-1)


def plain(scores: Tensor, temperature: float, top_k: int, top_p: float) -> list[float]:
    """The distribution that a row ``[N]`` of log-probabilities is drawn from, step by step."""
    weights = [float(x) for x in (scores.double() / temperature).exp()]
    order = sorted(range(len(weights)), key=lambda n: -weights[n])
    kept = order[:top_k] if top_k else order
    total = sum(weights[n] for n in kept)
    nucleus, held = [], 0.0
    for n in kept:
        if held >= top_p * total:
            break
        nucleus.append(n)
        held += weights[n]
    return [weights[n] / held if n in nucleus else 0.0 for n in range(len(weights))]


def test_greedy_picks_the_most_probable() -> None:
    """Greedy is the first node of the highest probability, row by row."""
    scores = log_probs(3, 4, 6)
    found = Greedy()(scores)
    for b in range(3):
        for r in range(4):
            row = scores[b, r].tolist()
            assert found[b, r] == row.index(max(row))


@pytest.mark.parametrize("seed", range(3))
def test_frequencies_are_the_probabilities(seed: int) -> None:
    """How often a node is drawn agrees with its probability; those of zero are never drawn."""
    scores = log_probs(1, 1, 8, seed=seed)
    picks = Sampling()(scores.expand(1, 40000, 8), seeded(seed))
    counts = picks.flatten().bincount(minlength=8)
    probs = scores.flatten().double().exp()
    assert (counts[probs == 0] == 0).all()
    possible = probs > 0
    expected = probs[possible] / probs[possible].sum() * 40000
    assert chisquare(counts[possible].numpy(), expected.numpy()).pvalue > 1e-3


def test_rows_are_drawn_independently() -> None:
    """Two rollouts of the same scores agree as often as independent draws do."""
    scores = log_probs(1, 1, 6).expand(20000, 2, 6)
    first, second = Sampling()(scores, seeded()).unbind(-1)
    agree = float((first == second).double().mean())
    assert agree == pytest.approx(float(scores[0, 0].exp().square().sum()), abs=0.015)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1, 0, 1), (0.5, 0, 1), (3, 0, 1), (1, 3, 1), (1, 0, 0.7), (1, 0, 1e-6), (2, 4, 0.8)],
)
def test_restricted_distributions(
    monkeypatch: pytest.MonkeyPatch, temperature: float, top_k: int, top_p: float
) -> None:
    """Temperature, top-k and nucleus leave the distribution that plain loops arrive at."""
    seen: list[Tensor] = []

    def record(weights: Tensor, rng: torch.Generator | None) -> Tensor:
        seen.append(weights)
        return weights.argmax(-1)

    monkeypatch.setattr(strategies, "_inverse_cumulative", record)
    scores = log_probs(5, 3, 9, seed=7)
    Sampling(temperature, top_k, top_p)(scores)
    found = seen[0] / seen[0].sum(-1, keepdim=True)
    for b in range(5):
        for r in range(3):
            expected = plain(scores[b, r], temperature, top_k, top_p)
            assert found[b, r].tolist() == pytest.approx(expected, abs=1e-5)


def test_top_k_of_equals_is_still_k() -> None:
    """Where many nodes are equally probable, exactly k of them are ever drawn."""
    scores = torch.zeros(1, 1, 8).log_softmax(-1).expand(1, 5000, 8)
    assert len(Sampling(top_k=3)(scores, seeded()).unique()) == 3


def test_restricted_frequencies() -> None:
    """Draws under all restrictions at once follow the plain distribution."""
    scores = log_probs(1, 1, 9, seed=7)
    expected = torch.tensor(plain(scores[0, 0], 2, 5, 0.8)).double()
    counts = Sampling(2, 5, 0.8)(scores.expand(1, 40000, 9), seeded(1)).flatten()
    counts = counts.bincount(minlength=9)
    assert (counts[expected == 0] == 0).all()
    some = expected > 0
    assert chisquare(counts[some].numpy(), (40000 * expected[some]).numpy()).pvalue > 1e-3


@given(
    weights=st.lists(st.sampled_from([0.0, 1e-30, 1e-8, 0.1, 0.5, 1.0, 3.0]), min_size=1).filter(
        lambda w: sum(w) > 1e-8
    ),
    draw=st.sampled_from([0.0, 1e-45, 0.1, 0.25, 0.5, 1 - 2**-24, 1.0]) | st.floats(0, 1),
)
def test_impossible_nodes_are_never_drawn(weights: list[float], draw: float) -> None:
    """Whatever number is drawn, its ends included, the node has a positive probability, and it is
    the one that the cumulative sum in double precision says, up to rounding."""
    row = torch.tensor([[weights]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, draw))
        node = int(strategies._inverse_cumulative(row, None))
    assert weights[node] > 0
    below, total = sum(weights[:node]), sum(weights)
    assert below <= draw * total * (1 + 1e-6) + 1e-30
    assert below + weights[node] >= draw * total * (1 - 1e-6)


def test_same_generator_same_nodes() -> None:
    """Draws follow from the generator alone, and global randomness is left untouched."""
    scores = log_probs(4, 50, 9)
    before = torch.random.get_rng_state()
    first, again, other = (Sampling()(scores, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0}, "temperature: 0, expected more than 0"),
        ({"top_k": -1}, "top_k: -1, expected 0 or more"),
        ({"top_p": 0}, r"top_p: 0, expected a value in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p: 1.5, expected a value in \(0, 1\]"),
    ],
)
def test_unusable_settings_are_refused(settings: dict[str, float], message: str) -> None:
    """A setting out of range is the user's error and names the range."""
    with pytest.raises(InputError, match=message):
        Sampling(**settings)
