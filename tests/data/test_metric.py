"""Distances by every convention, against hand-worked values and an independent implementation."""

import math
from collections.abc import Callable

import pytest
import torch
import vrplib
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.metric import Metric, leg, legs_from, pairwise
from tests.benchmark_data import benchmark_data

Point = tuple[float, float]


def nint(x: float) -> int:
    """TSPLIB's nint, from its C code: (int) (x + 0.5)."""
    return int(x + 0.5)


def att(a: Point, b: Point) -> float:
    r = math.sqrt(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / 10.0)
    t = nint(r)
    return t + 1 if t < r else t


def geo(a: Point, b: Point) -> float:
    if a == b:
        return 0

    def radians(x: float) -> float:
        degrees = int(x)
        return 3.141592 * (degrees + 5.0 * (x - degrees) / 3.0) / 180.0

    q1 = math.cos(radians(a[1]) - radians(b[1]))
    q2 = math.cos(radians(a[0]) - radians(b[0]))
    q3 = math.cos(radians(a[0]) + radians(b[0]))
    cosine = min(1.0, max(-1.0, 0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)))
    return int(6378.388 * math.acos(cosine) + 1.0)


def great_circle(a: Point, b: Point) -> float:
    """By the angle between unit vectors (atan2 of cross and dot), not by the haversine."""

    def vector(p: Point) -> tuple[float, float, float]:
        lat, lon = math.radians(p[0]), math.radians(p[1])
        return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)

    (x, y, z), (u, v, w) = vector(a), vector(b)
    cross = math.hypot(y * w - z * v, z * u - x * w, x * v - y * u)
    return 6371.0088 * math.atan2(cross, x * u + y * v + z * w)


INDEPENDENT: dict[Metric, Callable[[Point, Point], float]] = {
    Metric.EUCLIDEAN: math.dist,
    Metric.EUC_2D: lambda a, b: nint(math.dist(a, b)),
    Metric.CEIL_2D: lambda a, b: math.ceil(math.dist(a, b)),
    Metric.ATT: att,
    Metric.GEO: geo,
    Metric.DECIMAL: lambda a, b: int(10 * math.dist(a, b)) / 10,
    Metric.MILLI: lambda a, b: nint(1000 * math.dist(a, b)) / 1000,
    Metric.MAN_2D: lambda a, b: nint(abs(a[0] - b[0]) + abs(a[1] - b[1])),
    Metric.MAX_2D: lambda a, b: max(nint(abs(a[0] - b[0])), nint(abs(a[1] - b[1]))),
    Metric.GREAT_CIRCLE: great_circle,
}


def points(*coordinates: Point, metric: Metric | None = None) -> TensorDict:
    locs = torch.tensor([coordinates], dtype=torch.double)
    if metric is None:
        return make_instance(locs=locs)
    return make_instance(locs=locs, metric=torch.tensor([metric]))


@pytest.mark.parametrize(
    ("metric", "a", "b", "expected"),
    [
        (Metric.EUCLIDEAN, (0, 0), (1, 1), 2**0.5),
        (Metric.EUC_2D, (0, 0), (1, 1), 1),  # 1.41
        (Metric.EUC_2D, (0, 0), (2, 2), 3),  # 2.83
        (Metric.EUC_2D, (0, 0), (1.5, 2), 3),  # 2.5: halves go up, not to the even 2
        (Metric.CEIL_2D, (0, 0), (1, 1), 2),
        (Metric.CEIL_2D, (0, 0), (3, 4), 5),  # an integer stays
        (Metric.ATT, (0, 0), (10, 0), 4),  # sqrt(10) = 3.16, nint 3 is less, so one more
        (Metric.ATT, (0, 0), (3, 1), 1),  # sqrt(1), exact
        (Metric.ATT, (0, 0), (5, 5), 3),  # sqrt(5) = 2.24
        # the first nodes of ulysses16, as in its printed matrices
        (Metric.GEO, (38.24, 20.42), (39.57, 26.15), 509),
        (Metric.GEO, (38.24, 20.42), (40.56, 25.32), 501),
        (Metric.GEO, (38.24, 20.42), (36.26, 23.12), 312),
        (Metric.GEO, (38.24, 20.42), (38.24, 20.42), 0),
        (Metric.DECIMAL, (0, 0), (1, 1), 1.4),
        (Metric.DECIMAL, (40, 50), (45, 68), 18.6),  # Solomon C101, depot to 1: 18.68
        (Metric.MILLI, (0, 0), (1, 1), 1.414),
        (Metric.MILLI, (0, 0), (2, 1), 2.236),  # 2.23607
        (Metric.MAN_2D, (0, 0), (1.5, 1), 3),  # 2.5
        (Metric.MAN_2D, (3, 1), (1, 5), 6),
        (Metric.MAX_2D, (3, 1), (1, 5), 4),
        (Metric.MAX_2D, (0, 0), (2.5, 1), 3),
        # a quarter of the equator: 6371.0088 pi / 2
        (Metric.GREAT_CIRCLE, (0, 0), (0, 90), 10007.557),
        # half a meridian, from pole to pole
        (Metric.GREAT_CIRCLE, (90, 0), (-90, 0), 20015.1144),
        # sixty degrees to the north: a third of that
        (Metric.GREAT_CIRCLE, (0, 25), (60, 25), 6671.7048),
    ],
)
def test_hand_worked_values(metric: Metric, a: Point, b: Point, expected: float) -> None:
    """Single distances worked out by hand, in both directions."""
    matrix = pairwise(points(a, b, metric=metric))[0]
    assert matrix[0, 1].item() == matrix[1, 0].item() == pytest.approx(expected, abs=5e-4)
    assert matrix[0, 0].item() == matrix[1, 1].item() == 0


coordinate = st.floats(-89, 89).map(lambda x: round(x, 6)) | st.integers(-89, 89).map(float)
point = st.tuples(coordinate, coordinate)


@pytest.mark.parametrize("metric", Metric)
@given(places=st.lists(point, min_size=2, max_size=5))
def test_every_convention_equals_plain_python(metric: Metric, places: list[Point]) -> None:
    """The matrix equals an independent implementation of the convention, entry by entry."""
    matrix = pairwise(points(*places, metric=metric))[0]
    exact = metric not in (Metric.EUCLIDEAN, Metric.GREAT_CIRCLE)
    for i, a in enumerate(places):
        for j, b in enumerate(places):
            expected = INDEPENDENT[metric](a, b)
            if exact and matrix[i, j].item() != expected:
                # The last bit before rounding may tip the rounding over.
                nudged = [
                    INDEPENDENT[metric]((a[0] * d, a[1] * d), (b[0] * d, b[1] * d))
                    for d in (1 - 1e-13, 1 + 1e-13)
                ]
                assert matrix[i, j].item() in nudged
            else:
                assert matrix[i, j].item() == pytest.approx(expected, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("explicit", [False, True])
def test_the_three_ways_to_ask_agree(dtype: torch.dtype, explicit: bool) -> None:
    """`leg`, `legs_from` and `pairwise` give the same bits, in a batch of mixed conventions."""
    rng = torch.Generator().manual_seed(0)
    kinds = len(Metric)
    if explicit:
        instance = make_instance(distance=torch.rand(kinds, 6, 6, generator=rng, dtype=dtype))
    else:
        instance = make_instance(
            locs=80 * torch.rand(kinds, 6, 2, generator=rng, dtype=dtype),
            metric=torch.tensor(list(Metric)),
        )
    matrix = pairwise(instance)
    assert matrix.shape == (kinds, 6, 6) and matrix.dtype == dtype
    origin = torch.randint(6, (kinds, 4, 3), generator=rng)
    target = torch.randint(6, (kinds, 4, 3), generator=rng)
    batch = torch.arange(kinds)[:, None, None]
    assert torch.equal(leg(instance, origin, target), matrix[batch, origin, target])
    rows = legs_from(instance, origin[..., 0])
    assert torch.equal(rows, matrix[batch[..., 0], origin[..., 0]])
    if not explicit:
        for b, metric in enumerate(Metric):
            alone = make_instance(locs=instance["locs"][b : b + 1], metric=torch.tensor([metric]))
            assert torch.equal(pairwise(alone)[0], matrix[b])


def test_no_metric_means_euclidean() -> None:
    """Training instances state no convention: unrounded."""
    assert pairwise(points((0, 0), (1, 1)))[0, 0, 1].item() == pytest.approx(2**0.5)


def test_explicit_distances_may_be_asymmetric() -> None:
    """Row is from, column is to; coordinates beside a matrix are for the eye only."""
    instance = make_instance(
        locs=torch.zeros(1, 2, 2), distance=torch.tensor([[[0.0, 3.0], [5.0, 0.0]]])
    )
    there, back = torch.tensor([[0]]), torch.tensor([[1]])
    assert leg(instance, there, back).item() == 3.0
    assert leg(instance, back, there).item() == 5.0


def tsplib(name: str, metric: Metric) -> TensorDict:
    """A benchmark instance, read by vrplib."""
    file = vrplib.read_instance(benchmark_data("tsplib", f"{name}.tsp"), compute_edge_weights=False)
    return points(*file["node_coord"].tolist(), metric=metric)


def test_canonical_tour_of_pcb442() -> None:
    """The tour 1, 2, ..., n of pcb442 has the length that TSPLIB 95 states for checks: 221440."""
    order = torch.arange(442).unsqueeze(0)
    instance = tsplib("pcb442", Metric.EUC_2D)
    assert leg(instance, order, order.roll(-1, 1)).sum().item() == 221440


ULYSSES16 = [1, 14, 13, 12, 7, 6, 15, 5, 11, 9, 10, 16, 3, 2, 4, 8]
ATT48 = [
    *[1, 8, 38, 31, 44, 18, 7, 28, 6, 37, 19, 27, 17, 43, 30, 36, 46, 33, 20, 47, 21, 32, 39, 48],
    *[5, 42, 24, 10, 45, 35, 4, 26, 2, 29, 34, 41, 16, 22, 3, 23, 14, 25, 13, 11, 12, 15, 40, 9],
]


@pytest.mark.parametrize(
    ("name", "metric", "tour", "length"),
    [
        ("ulysses16", Metric.GEO, ULYSSES16, 6859),
        ("att48", Metric.ATT, ATT48, 10628),
    ],
)
def test_published_optimal_tours(name: str, metric: Metric, tour: list[int], length: int) -> None:
    """TSPLIB's optimal tours have the stated optimal lengths under GEO and ATT."""
    order = torch.tensor([tour]) - 1
    assert sorted(tour) == list(range(1, len(tour) + 1))
    assert leg(tsplib(name, metric), order, order.roll(-1, 1)).sum().item() == length
