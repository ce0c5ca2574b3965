"""Instances of the routing benchmark, by set; fixed lists, none of which was used to choose settings."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import record

from gnnlib.heads.combinatorial.vrp.io import read_routes, read_vrp
from gnnlib.heads.combinatorial.vrp.metrics import check_routes

if TYPE_CHECKING:
    from gnnlib.heads.combinatorial.vrp.problem import VRP

X_SMALL = (
    "X-n101-k25 X-n110-k13 X-n120-k6 X-n134-k13 X-n143-k7 X-n162-k11 X-n172-k51 X-n186-k15 X-n204-k19 X-n214-k11 "
    "X-n228-k23 X-n237-k14"
)
X_MEDIUM = (
    "X-n256-k16 X-n275-k28 X-n289-k60 X-n313-k71 X-n331-k15 X-n367-k17 X-n411-k19 X-n459-k26 X-n502-k39 X-n573-k30"
)
X_LARGE = (
    "X-n613-k62 X-n641-k35 X-n685-k75 X-n716-k35 X-n766-k71 X-n801-k40 X-n876-k59 X-n916-k207 X-n957-k87 X-n1001-k43"
)
SOLOMON = "C101 C108 C205 R101 R108 R111 R201 R210 RC101 RC107 RC201 RC207"
GH = "C1_10_2 C2_10_4 R1_10_2 R1_10_8 R2_10_3 RC1_10_4 RC1_10_8 RC2_10_4"
LI_LIM = "lc101 lc204 lr104 lr112 lr204 lrc104 lrc106 lrc207"

#: Per set: folder, suffix, names, what the target of the issue is at 1, 10 and 60 seconds (gap in per cent).
SETS: dict[str, tuple[str, str, str, tuple[float | None, float | None, float | None]]] = {
    "x-small": ("cvrp/X", ".vrp", X_SMALL, (0.8, 0.15, 0.05)),
    "x-medium": ("cvrp/X", ".vrp", X_MEDIUM, (2.0, 0.5, 0.25)),
    "x-large": ("cvrp/X", ".vrp", X_LARGE, (4.0, 1.5, 0.8)),
    "belgium": ("cvrp/XXL", ".vrp", "Leuven1 Antwerp1 Ghent2 Flanders2", (None, 6.0, 3.0)),
    "solomon": ("vrptw/solomon", ".txt", SOLOMON, (0.8, 0.15, 0.05)),
    "gh1000": ("vrptw/gh1000", ".vrp", GH, (None, 3.0, 1.5)),
    "hfvrp": ("hfvrp", ".vrp", "X115-HVRP X139-HD X162-FSMD X209-FSMFD X256-FSMF X289-HVRP", (None, None, None)),
    "vrpb": ("vrpb", ".vrp", "X-n524-50-k125 X-n548-80-k40 X-n573-50-k22 X-n599-80-k74", (None, None, None)),
    "pcvrptw": ("pcvrptw", ".vrp", "C1_10_1 R2_10_1 RC1_10_1", (None, None, None)),
    "mdvrptw": ("mdvrptw", ".vrp", "PR11A PR14A PR17A PR20A", (None, None, None)),
    "li-lim": ("pdptw/li_lim_100", ".txt", LI_LIM, (None, None, None)),
}


def data_folder() -> Path:
    """Return the folder of the collections."""
    mirror = os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data"
    return Path(mirror) / "combinatorial"


def instance_path(set_name: str, name: str) -> Path:
    folder, suffix, _, _ = SETS[set_name]
    return data_folder() / folder / (name + suffix)


def load(set_name: str, name: str) -> VRP:
    return read_vrp(instance_path(set_name, name))


@functools.cache
def reference(set_name: str, name: str) -> float | None:
    """Return the best known cost: of the collection, or the best that any run of this benchmark has ever found."""
    path = instance_path(set_name, name).with_suffix(".sol")
    if path.exists():
        return check_routes(load(set_name, name), read_routes(path).routes).cost
    found = (record.read("vrp_best") or {}).get(f"{set_name}|{name}")
    return None if found is None else float(found["cost"])


def names(set_name: str, limit: int | None) -> list[str]:
    found = re.split(r"\s+", SETS[set_name][2].strip())
    return found[:limit]
