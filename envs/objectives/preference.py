"""How welcome the vehicles are where they go."""

from collections.abc import Sequence

from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route
from nco.envs.checking.view import InstanceView
from nco.envs.objective import Objective
from nco.envs.visits.base import Visits


class Preference(Objective):
    """
    Minus the preferences of all visits for their vehicles (PVRP; Hua et al. 2025, CAMP).

    Instance: ``preference [B, V, N]``. Feature: the mean preference of each node over the vehicles.
    """

    reads = ("preference",)
    additive = True
    reversible = True
    node_dim = 1

    def node_features(self, instance: TensorDict) -> Tensor:
        return instance["preference"].mean(1).unsqueeze(-1).float()

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        legs = visits.legs(instance, actions)
        preference = instance["preference"]
        entry = legs.vehicle * preference.shape[-1] + legs.target
        value = preference.flatten(1).gather(1, entry.flatten(1)).view(entry.shape)
        return -value.where(legs.target >= num_depots(instance), 0).sum(-1)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        preference = instance["preference"][0].tolist()
        known = InstanceView(instance).known(routes)
        return 0.0 - sum(preference[r.vehicle][node] for _, r in known for node in r.visits)
