from ._version import __version__ as __version__
from .errors import (
    FileFormatError as FileFormatError,
    GnnlibError as GnnlibError,
    InfeasibleError as InfeasibleError,
    InputError as InputError,
    MissingExtraError as MissingExtraError,
    WeightsError as WeightsError,
)
from .stop import (
    AnyOf as AnyOf,
    MaxIterations as MaxIterations,
    MaxRuntime as MaxRuntime,
    NoImprovement as NoImprovement,
    TargetGap as TargetGap,
)
