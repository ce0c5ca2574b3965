from . import (
    data as data,
    encoder as encoder,
    errors as errors,
    graphs as graphs,
    heads as heads,
    search as search,
    stop as stop,
    testing as testing,
    training as training,
)
from ._version import __version__ as __version__
from .data import list_instances as list_instances, load_instance as load_instance
from .encoder import (
    Encoder as Encoder,
    GraphModel as GraphModel,
    Head as Head,
    Output as Output,
    list_weights as list_weights,
    load as load,
    tune_cpu as tune_cpu,
)
from .errors import (
    FileFormatError as FileFormatError,
    GnnlibError as GnnlibError,
    InfeasibleError as InfeasibleError,
    InputError as InputError,
    MissingExtraError as MissingExtraError,
    WeightsError as WeightsError,
)
from .graphs.schema import GraphSpec as GraphSpec, GraphTensors as GraphTensors
from .heads.combinatorial.tsp.api import solve_tsp as solve_tsp
from .heads.combinatorial.tsp.io import read_tsplib as read_tsplib
from .heads.combinatorial.tsp.problem import TSP as TSP
from .heads.combinatorial.tsp.result import TourResult as TourResult
from .stop import (
    AnyOf as AnyOf,
    MaxIterations as MaxIterations,
    MaxRuntime as MaxRuntime,
    NoImprovement as NoImprovement,
    TargetGap as TargetGap,
)
from .training import FitConfig as FitConfig, fit as fit
