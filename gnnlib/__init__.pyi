from . import (
    data as data,
)
from . import (
    encoder as encoder,
)
from . import (
    errors as errors,
)
from . import (
    graphs as graphs,
)
from . import (
    heads as heads,
)
from . import (
    search as search,
)
from . import (
    stop as stop,
)
from . import (
    testing as testing,
)
from . import (
    training as training,
)
from ._version import __version__ as __version__
from .data import list_instances as list_instances
from .data import load_instance as load_instance
from .encoder import (
    Encoder as Encoder,
)
from .encoder import (
    GraphModel as GraphModel,
)
from .encoder import (
    Head as Head,
)
from .encoder import (
    Output as Output,
)
from .encoder import (
    list_weights as list_weights,
)
from .encoder import (
    load as load,
)
from .encoder import (
    tune_cpu as tune_cpu,
)
from .errors import (
    DivergenceError as DivergenceError,
)
from .errors import (
    FileFormatError as FileFormatError,
)
from .errors import (
    GnnlibError as GnnlibError,
)
from .errors import (
    InfeasibleError as InfeasibleError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    MissingExtraError as MissingExtraError,
)
from .errors import (
    MissingFileError as MissingFileError,
)
from .errors import (
    WeightsError as WeightsError,
)
from .graphs.schema import GraphSpec as GraphSpec
from .graphs.schema import GraphTensors as GraphTensors
from .heads.automl.estimators import AutoClassifier as AutoClassifier
from .heads.automl.estimators import AutoRegressor as AutoRegressor
from .heads.automl.experience import ExperienceStore as ExperienceStore
from .heads.automl.problem import AutoMLParams as AutoMLParams
from .heads.automl.recommend import fit_meta as fit_meta
from .heads.automl.recommend import recommend_pipelines as recommend_pipelines
from .heads.automl.synthesis import synthesise_pipelines as synthesise_pipelines
from .heads.combinatorial.mst.api import spanning_tree as spanning_tree
from .heads.combinatorial.mst.result import TreeResult as TreeResult
from .heads.combinatorial.paths.api import shortest_path as shortest_path
from .heads.combinatorial.paths.result import PathResult as PathResult
from .heads.combinatorial.tsp.api import solve_tsp as solve_tsp
from .heads.combinatorial.tsp.io import read_tsplib as read_tsplib
from .heads.combinatorial.tsp.problem import TSP as TSP
from .heads.combinatorial.tsp.result import TourResult as TourResult
from .heads.combinatorial.vrp.api import solve_vrp as solve_vrp
from .heads.combinatorial.vrp.builder import VRPBuilder as VRPBuilder
from .heads.combinatorial.vrp.problem import VRP as VRP
from .heads.combinatorial.vrp.result import RouteResult as RouteResult
from .heads.combinatorial.vrp.vehicles import VehicleType as VehicleType
from .heads.protein.assessment import assess as assess
from .heads.protein.assessment import consensus as consensus
from .heads.protein.decode import reconstruct as reconstruct
from .heads.protein.design import predict_sequence as predict_sequence
from .heads.protein.graph import residue_graph as residue_graph
from .heads.protein.io import read_structure as read_structure
from .heads.protein.problem import Structure as Structure
from .heads.protein.secondary import secondary_structure as secondary_structure
from .heads.protein.sequence_models import predict_distances as predict_distances
from .heads.protein.torsions import torsions as torsions
from .heads.scene.api import predict_trajectories as predict_trajectories
from .heads.scene.generate import generate_scene as generate_scene
from .heads.scene.io import read_scene as read_scene
from .heads.scene.io_table import read_scenes as read_scenes
from .heads.scene.problem import Scene as Scene
from .heads.scene.sim import SceneSim as SceneSim
from .stop import (
    AnyOf as AnyOf,
)
from .stop import (
    MaxIterations as MaxIterations,
)
from .stop import (
    MaxRuntime as MaxRuntime,
)
from .stop import (
    MaxTrials as MaxTrials,
)
from .stop import (
    NoImprovement as NoImprovement,
)
from .stop import (
    TargetGap as TargetGap,
)
from .training import FitConfig as FitConfig
from .training import fit as fit
