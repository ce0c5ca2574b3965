"""From a problem to routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnlib.heads.combinatorial.vrp.metrics import plan_route

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP

__all__ = ["first_routes"]


def first_routes(problem: VRP) -> tuple[list[list[int]], list[int]]:
    """Append clients one after the other to the first route that takes them."""
    routes: list[list[int]] = []
    kinds: list[int] = []
    left = [kind.count for kind in problem.vehicle_types]
    grouped = {client for group in problem.groups for client in group.clients[1:]}
    partner = {int(a): int(b) for a, b in problem.pairs.tolist()}
    followers = set(partner.values())
    for client in range(problem.num_depots, problem.travel.num_places):
        if client in grouped or client in followers:
            continue
        task = [client, partner[client]] if client in partner else [client]
        for route, kind in zip(routes, kinds, strict=True):
            if not plan_route(problem, route + task, kind).faults:
                route += task
                break
        else:
            for kind, count in enumerate(left):
                if count and not plan_route(problem, task, kind).faults:
                    routes.append(list(task))
                    kinds.append(kind)
                    left[kind] -= 1
                    break
    return routes, kinds
