"""Many distance matrices of one length folded at once in torch: the way for a GPU.

The same energy as `reconstruct`'s (weighted stress, bonds, clash floor, mixture of stretches), with Adam in place of
L-BFGS and one start, for full or nearly full matrices; on a CPU a loop over `reconstruct` is quicker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gnnlib.errors import InputError
from gnnlib.heads.protein.checks import as_float_array
from gnnlib.heads.protein.decode import checked_distances
from gnnlib.heads.protein.folding.chain_prior import FEATURE_PAIRS, load_chain_prior
from gnnlib.heads.protein.folding.fold_start import complete

if TYPE_CHECKING:
    import torch

    from gnnlib.typing import ArrayLike, FloatArray

__all__ = ["reconstruct_batch"]

_BOND_ANGSTROM, _CLASH_ANGSTROM = 3.8, 3.9
_ROUNDS, _STEPS, _LAST_STEPS = 3, 60, 150
_BACKGROUND = -16.0


def reconstruct_batch(
    distances: ArrayLike, *, mask: ArrayLike | None = None, device: str | torch.device = "cpu"
) -> FloatArray:
    """Fold B chains of L residues each from their distances.

    Parameters
    ----------
    distances : array-like [B, L, L]
        As for `reconstruct`; every chain unbroken.
    mask : bool array-like [B, L, L], optional
        True where a distance is known.
    device : str or torch.device
        Where to compute; default ``"cpu"``.

    Returns
    -------
    array [B, L, 3]
        CA in angstrom, centred, right-handed as far as the chain prior can tell.

    Raises
    ------
    InputError
        As `reconstruct`, naming the matrix; or L < 5.

    Examples
    --------
    >>> from gnnlib.heads.protein.geometry import build_backbone
    >>> helix = build_backbone(np.full(12, -57.0), np.full(12, -47.0))[:, 1]
    >>> D = np.linalg.norm(helix[:, None] - helix, axis=-1)
    >>> reconstruct_batch(np.stack([D, D])).shape
    (2, 12, 3)
    """
    import torch

    given, known, filled = _checked(distances, mask)
    place = torch.device(device)
    target, seen = torch.as_tensor(given, device=place), torch.as_tensor(known, device=place)
    points = _scaled(torch.as_tensor(filled, device=place))
    noise = torch.tensor([1.0, 0.01], dtype=target.dtype, device=place).expand(len(given), 2)
    for _ in range(_ROUNDS):
        fitted = _pairwise(points)
        weight = torch.where(seen, 1.0 / (noise[:, :1, None] + noise[:, 1:, None] * fitted**2), 0.0)
        points = _descend(points, target, weight, None, _STEPS)
        noise = _noise(target - _pairwise(points), _pairwise(points), seen)
    fitted = _pairwise(points)
    weight = torch.where(seen, 1.0 / (noise[:, :1, None] + noise[:, 1:, None] * fitted**2), 0.0)
    prior = [torch.as_tensor(part, device=place) for part in load_chain_prior()]
    turned = points * torch.tensor([-1.0, 1.0, 1.0], dtype=points.dtype, device=place)
    keep = _mixture(points, prior) <= _mixture(turned, prior)
    points = _descend(torch.where(keep[:, None, None], points, turned), target, weight, prior, _LAST_STEPS)
    result: FloatArray = (points - points.mean(dim=1, keepdim=True)).cpu().numpy()
    return result


def _checked(distances: Any, mask: Any) -> tuple[FloatArray, np.ndarray, FloatArray]:
    """Distances, what is known, and distances completed by shortest paths [B, L, L]."""
    stack = as_float_array("distances", distances)
    if stack.ndim != 3 or stack.shape[1] != stack.shape[2] or not stack.shape[0] or stack.shape[1] < 5:
        raise InputError(f"`distances` must have shape [B, L, L] with B >= 1, L >= 5, found {list(stack.shape)}")
    masks = [None] * len(stack) if mask is None else np.asarray(mask)
    if len(masks) != len(stack):
        raise InputError(f"`mask` must hold {len(stack)} matrices, found {len(masks)}")
    bonded = np.arange(stack.shape[1]) < stack.shape[1] - 1
    parts = []
    for number, (one, chosen) in enumerate(zip(stack, masks, strict=True)):
        try:
            given, known, _ = checked_distances(one, None, chosen)
        except InputError as error:
            raise InputError(f"matrix {number}: {error}") from error
        full = known.sum() == known.size - len(known)
        parts.append((given, known, given if full else np.where(known, given, complete(given, known, bonded))))
    return tuple(np.stack(group) for group in zip(*parts, strict=True))  # type: ignore[return-value]


def _scaled(distances: torch.Tensor) -> torch.Tensor:
    """Classical scaling of a batch [B, L, L] to [B, L, 3]."""
    import torch

    squares = distances**2
    rows = squares.mean(dim=2)
    gram = -0.5 * (squares - rows[:, :, None] - rows[:, None, :] + rows.mean(dim=1)[:, None, None])
    values, vectors = torch.linalg.eigh(gram)
    return vectors[:, :, -3:] * values[:, None, -3:].clamp_min(1e-6).sqrt()


def _pairwise(points: torch.Tensor) -> torch.Tensor:
    return ((points[:, :, None] - points[:, None]).square().sum(dim=-1) + 1e-9).sqrt()


def _noise(residuals: torch.Tensor, fitted: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Variances (constant, per squared distance) [B, 2]: least squares of squared residuals, relative errors equal."""
    import torch

    found = []
    for r, d, known in zip(residuals, fitted, seen, strict=True):
        squared, length = r[known].square(), d[known].square()
        share = known.sum() / (known.sum() - 6 * len(known)).clamp_min(int(known.sum()) // 5)
        squared = squared.clamp_max(20.0 * squared.median()) * share
        level = squared.mean() * torch.ones_like(length)
        answer = torch.zeros(2, dtype=r.dtype, device=r.device)
        design = torch.stack([torch.ones_like(length), length], dim=1)
        for _ in range(3):
            scaled = design / level[:, None]
            answer = torch.linalg.solve(
                scaled.T @ scaled + 1e-9 * torch.eye(2, dtype=r.dtype, device=r.device), scaled.T @ (squared / level)
            )
            answer = answer.clamp_min(0.0)
            level = (design @ answer).clamp_min(4e-4)
        found.append(answer)
    noise = torch.stack(found)
    noise[:, 0] = noise[:, 0].clamp_min(4e-4)
    return noise


def _descend(
    start: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, prior: list[torch.Tensor] | None, steps: int
) -> torch.Tensor:
    """Adam with a falling rate; the energy is scaled so that one rate suits all noise levels."""
    import torch

    points = start.detach().clone()
    points.requires_grad = True
    optimiser = torch.optim.Adam([points], lr=0.1)
    count = points.shape[1]
    far = torch.triu(torch.ones(count, count, dtype=torch.bool, device=points.device), 3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.3 * (1.0 - step / steps) + 0.003
        optimiser.zero_grad()
        fitted = _pairwise(points)
        stress = 0.25 * (weight * (fitted - target).square()).sum(dim=(1, 2))
        bonds = 50.0 * (torch.diagonal(fitted, 1, 1, 2) - _BOND_ANGSTROM).square().sum(dim=1)
        clashes = 5.0 * ((_CLASH_ANGSTROM - fitted).clamp_min(0.0).square() * far).sum(dim=(1, 2))
        energy = stress + bonds + clashes
        if prior is not None:
            energy = energy + 0.3 * _mixture(points, prior)
        torch.autograd.backward(energy.sum())
        optimiser.step()
    return points.detach()


def _mixture(points: torch.Tensor, prior: list[torch.Tensor]) -> torch.Tensor:
    """Negative log density of all stretches of five residues [B]."""
    import torch

    offsets, means, precisions = prior
    count = points.shape[1] - 4
    part = [points[:, k : k + count] for k in range(5)]
    lengths = [((part[q] - part[p]).square().sum(dim=-1) + 1e-9).sqrt() for p, q in FEATURE_PAIRS]
    bonds = [part[k + 1] - part[k] for k in range(4)]
    products = [0.1 * (torch.linalg.cross(bonds[k], bonds[k + 1]) * bonds[k + 2]).sum(dim=-1) for k in range(2)]
    features = torch.stack([*lengths, *products], dim=-1)
    off = features[:, :, None, :] - means
    quadratic = torch.einsum("blki,kij,blkj->blk", off, precisions, off)
    terms = torch.cat([offsets - 0.5 * quadratic, torch.full_like(quadratic[..., :1], _BACKGROUND)], dim=-1)
    return -torch.logsumexp(terms, dim=-1).sum(dim=1)
