"""The answer of trajectory prediction: several futures for each agent, each with a probability and a scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.scene import checks
from gnnlib.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import FloatArray

__all__ = ["Prediction"]

_SUM_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Prediction(Result):
    """K futures for each of A agents, from step ``at_step`` on.

    Parameters
    ----------
    agents : tuple of str or int
        Ids of the agents, as in the scene.
    xy : array [A, K, T, 2]
        Predicted centres in metres in the scene's frame; entry t belongs to step ``at_step + 1 + t``.
    probability : array [A, K]
        Of the modes; each row sums to 1.
    scale : array [A, K, T] or [A, K, T, 2]
        Spread of each predicted position in metres (as the predictor defines it), > 0.
    at_step : int
        Last observed step.
    dt : float
        Seconds a step.
    unfamiliarity : array [A] or None
        How unlike the training scenes an agent's situation is; higher means "hand over".
    radius : array [A, K, T] or None
        Radius in metres of the calibrated region round each predicted position.
    method : str
        What predicted.
    scene : Scene or None
        What was predicted, for `plot`; not exported.

    Raises
    ------
    InputError
        If shapes do not fit, a number is not finite, or the probabilities of an agent do not sum to 1.

    Examples
    --------
    >>> answer = Prediction(("a",), np.zeros((1, 2, 3, 2)), [[0.25, 0.75]], np.ones((1, 2, 3)), at_step=19)
    >>> answer.most_likely.shape
    (1, 3, 2)
    >>> print(answer.summary())
    Prediction
      agents    1
      modes     2
      horizon   3 steps (0.3 s)
      at step   19
      top mode  0.75 on average
    """

    agents: tuple[str | int, ...]
    xy: FloatArray
    probability: FloatArray
    scale: FloatArray
    at_step: int
    dt: float = 0.1
    unfamiliarity: FloatArray | None = None
    radius: FloatArray | None = None
    method: str = ""
    scene: Scene | None = field(default=None, repr=False, metadata={"export": False})

    def __post_init__(self) -> None:
        count = len(self.agents)
        xy = checks.float_array("xy", self.xy, (count, None, None, 2))
        modes, steps = xy.shape[1:3]
        if modes < 1 or steps < 1:
            raise InputError(f"a prediction needs at least one mode and one step, found xy of shape {list(xy.shape)}")
        probability = checks.float_array("probability", self.probability, (count, modes))
        is_split = np.ndim(self.scale) == 4
        scale = checks.float_array("scale", self.scale, (count, modes, steps, 2) if is_split else xy.shape[:3])
        for name, array in (("xy", xy), ("probability", probability), ("scale", scale)):
            if not np.isfinite(array).all():
                raise InputError(f"`{name}` must be finite, found NaN or infinity")
        if (probability < 0.0).any() or (np.abs(probability.sum(axis=1) - 1.0) > _SUM_TOLERANCE).any():
            raise InputError("`probability` must be >= 0 and sum to 1 for each agent")
        if (scale <= 0.0).any():
            raise InputError("`scale` must be > 0 metres everywhere")
        put = object.__setattr__
        put(self, "agents", tuple(self.agents))
        put(self, "xy", xy)
        put(self, "probability", probability)
        put(self, "scale", scale)
        if self.unfamiliarity is not None:
            put(self, "unfamiliarity", checks.float_array("unfamiliarity", self.unfamiliarity, (count,)))
        if self.radius is not None:
            put(self, "radius", checks.float_array("radius", self.radius, xy.shape[:3]))

    @property
    def num_modes(self) -> int:
        """Number of modes K."""
        return int(self.xy.shape[1])

    @property
    def horizon(self) -> int:
        """Number of predicted steps T."""
        return int(self.xy.shape[2])

    @property
    def most_likely(self) -> FloatArray:
        """The most probable future of each agent: [A, T, 2]."""
        best = np.argmax(self.probability, axis=1)
        return np.asarray(self.xy[np.arange(len(self.agents)), best])

    def of(self, agent: str | int) -> tuple[FloatArray, FloatArray]:
        """Modes [K, T, 2] and probabilities [K] of one agent, the most probable first.

        Raises
        ------
        InputError
            If the agent has no prediction.
        """
        if agent not in self.agents:
            raise InputError(f"there is no prediction for agent {agent!r}; there are {len(self.agents)}")
        row = self.agents.index(agent)
        order = np.argsort(-self.probability[row], kind="stable")
        return self.xy[row, order], self.probability[row, order]

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("agents", f"{len(self.agents)}"),
            ("modes", f"{self.num_modes}"),
            ("horizon", f"{self.horizon} steps ({self.horizon * self.dt:g} s)"),
            ("at step", f"{self.at_step}"),
        ]
        if len(self.agents):
            rows.append(("top mode", f"{self.probability.max(axis=1).mean():.2f} on average"))
        if self.unfamiliarity is not None and len(self.agents):
            row = int(np.argmax(self.unfamiliarity))
            rows.append(("least familiar", f"agent {self.agents[row]} ({self.unfamiliarity[row]:.2f})"))
        if self.method:
            rows.append(("method", self.method))
        return rows

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the scene with the predicted modes; return the axes.

        Raises
        ------
        InputError
            If the prediction does not hold its scene; then use ``scene.plot(prediction)``.
        """
        if self.scene is None:
            raise InputError("this prediction does not hold its scene; use `scene.plot(prediction)`")
        keywords: dict[str, Any] = {"at_step": self.at_step, "ax": ax}
        return self.scene.plot(self, **keywords)
