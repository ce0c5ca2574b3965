"""Sample structures that come with the library: made by the project, none of them a real protein.

Whole ones to try things on, and damaged ones that show what a reader has to expect. `write_samples` makes the files of
``datasets/protein-samples`` again.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnnlib.data.folder import datasets_folder
from gnnlib.errors import GnnlibError, InputError
from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.problem import Structure
from gnnlib.seeding import numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from gnnlib.typing import PathLike

__all__ = ["SAMPLES", "build_sample", "list_samples", "load_sample", "sample_path", "write_samples"]

#: Name, file and description of every sample.
SAMPLES = {
    "helix": ("helix.pdb", "one alpha helix of 30 residues"),
    "hairpin": ("hairpin.pdb", "two antiparallel strands and the turn between them, 16 residues"),
    "bundle": ("bundle.pdb", "four helices, 92 residues"),
    "domain": ("domain.cif", "helices and hairpins, 195 residues: the size of a viral receptor-binding domain"),
    "dimer": ("dimer.pdb", "two hairpins, chains A and B, each with a disulfide bond"),
    "trace": ("trace.pdb", "the bundle, CA atoms only"),
    "ensemble": ("ensemble.pdb", "the hairpin in three models"),
    "damaged": (
        "damaged.pdb",
        "the bundle with a gap, alternative positions, an insertion code, a modified residue, "
        "a residue without CA, a missing O, an atom twice, water, an ion",
    ),
}
_FOLDER = "protein-samples"
_DOMAIN = "L2 B6 L8 H14 L8 B6 L8 H14 L8 B6 L8 H14 L8 B6 L8 H14 L8 B6 L3"


def list_samples() -> list[str]:
    """Return the names of the samples.

    Examples
    --------
    >>> "domain" in list_samples()
    True
    """
    return list(SAMPLES)


def sample_path(name: str) -> Path:
    """Return the file of a sample.

    Raises
    ------
    InputError
        If there is no sample of that name.
    GnnlibError
        If the file is missing from the installation.
    """
    if name not in SAMPLES:
        near = difflib.get_close_matches(str(name), SAMPLES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {list(SAMPLES)}"
        raise InputError(f"there is no sample structure {name!r}; {hint}")
    path = datasets_folder() / _FOLDER / SAMPLES[name][0]
    if not path.is_file():
        raise GnnlibError(f"the sample file {path} is missing; install the package again")
    return path


def load_sample(name: str) -> Structure:
    """Read a sample structure.

    Parameters
    ----------
    name : str
        One of `list_samples`.

    Examples
    --------
    >>> load_sample("domain")
    Structure(name='domain', num_residues=195, chains=('A',))
    >>> [str(note) for note in load_sample("damaged").report.mapped]
    ['A MSE 52A: modified residue, read as M (line 245)']
    """
    return read_structure(sample_path(name))


def build_sample(name: str) -> str:
    """Return the text of a sample file, made anew.

    The texts depend on the last digits of the machine's arithmetic: rebuilt on another machine, coordinates may differ.
    """
    makers: dict[str, Callable[[], str]] = {
        "helix": lambda: _chain("helix", "H30", 0, 1).to_pdb(),
        "hairpin": lambda: _hairpin().to_pdb(),
        "bundle": lambda: _bundle().to_pdb(),
        "domain": lambda: _domain().to_mmcif(),
        "dimer": lambda: _dimer().to_pdb(),
        "trace": lambda: Structure.from_arrays(_bundle().ca, _bundle().sequence, name="trace").to_pdb(),
        "ensemble": _ensemble,
        "damaged": lambda: _damaged(_bundle().to_pdb()),
    }
    if name not in makers:
        raise InputError(f"there is no sample structure {name!r}; there are {list(makers)}")
    return makers[name]()


def write_samples(folder: PathLike) -> None:
    """Write every sample file.

    Parameters
    ----------
    folder : path-like
        ``datasets/protein-samples`` of a checkout.
    """
    for name, (file, _) in SAMPLES.items():
        Path(folder, file).write_text(build_sample(name), encoding="utf-8")


def _chain(name: str, elements: str, seed: int, draws: int) -> Structure:
    from gnnlib.heads.protein.sample_building import build_chain  # compiles

    return build_chain(elements, seed=seed, draws=draws, name=name)


def _domain() -> Structure:
    from gnnlib.heads.protein.sample_building import fold_chain  # compiles

    return fold_chain(_DOMAIN, seed=2, name="domain")


def _hairpin() -> Structure:
    return _chain("hairpin", "B7", 1, 1)


def _bundle() -> Structure:
    return _chain("bundle", "H20 L4 H20 L4 H20 L4 H20", 4, 200)


def _dimer() -> Structure:
    """Two copies of the hairpin side by side, each with cysteines at a pair of strand residues that face each other."""
    from gnnlib.heads.protein.sample_building import place_disulfide

    hairpin = _hairpin()
    cb = hairpin.coords_angstrom[:, 4]
    pairs = [(i, 15 - i) for i in range(1, 7) if np.linalg.norm(cb[i] - cb[15 - i]) < 5.6]
    first, second = min(pairs, key=lambda pair: float(np.linalg.norm(cb[pair[0]] - cb[pair[1]])))
    letters = list(hairpin.sequence)
    letters[first] = letters[second] = "C"
    turned = hairpin.coords_angstrom * np.array([-1.0, -1.0, 1.0]) + np.array([0.0, 22.0, 0.0])
    coords = np.concatenate([hairpin.coords_angstrom, turned])
    sulfurs = place_disulfide(hairpin, first, second)
    dimer = Structure.from_arrays(
        coords.round(3),
        "".join(letters) * 2,
        name="dimer",
        chain_ids=np.repeat(["A", "B"], 16),
        residue_numbers=np.tile(np.arange(1, 17), 2),
    )
    both = np.concatenate([sulfurs, sulfurs * np.array([-1.0, -1.0, 1.0]) + np.array([0.0, 22.0, 0.0])]).round(3)
    return replace(dimer, sulfurs=both)


def _ensemble() -> str:
    """Three models of the hairpin, the second and third with 0.3 angstrom of noise."""
    random = numpy_generator(0)
    hairpin = _hairpin()
    lines: list[str] = []
    for model in range(1, 4):
        noise = 0.0 if model == 1 else random.normal(0.0, 0.3, hairpin.coords_angstrom.shape)
        moved = Structure.from_arrays((hairpin.coords_angstrom + noise).round(3), hairpin.sequence)
        atoms = [line for line in moved.to_pdb().splitlines() if line.startswith(("ATOM", "TER"))]
        lines += [f"MODEL     {model:4d}", *atoms, "ENDMDL"]
    return "\n".join([*lines, "END", ""])


def _damaged(text: str) -> str:
    """Damage the PDB text of the bundle in every way that a reader should survive."""
    lines: list[str] = []
    for line in text.splitlines():
        number = int(line[22:26]) if line.startswith("ATOM") else 0
        atom = line[12:16].strip()
        lost = 24 <= number <= 26 or (number == 40 and atom == "CA") or (number == 60 and atom == "O")
        if lost:
            continue
        if number == 10 and atom == "CA":  # two positions, the second more often taken
            x = float(line[30:38])
            lines.append(f"{line[:16]}A{line[17:54]}  0.40{line[60:]}")
            lines.append(f"{line[:16]}B{line[17:30]}{x + 0.5:8.3f}{line[38:54]}  0.60{line[60:]}")
        elif number == 53:  # an insertion code, and selenomethionine as HETATM
            lines.append(f"HETATM{line[6:17]}MSE{line[20:22]}  52A{line[27:]}")
        elif number == 70 and atom == "CB":
            lines += [line, line]
        elif number == 80:  # an old file: no occupancy, and text behind it
            lines.append(f"{line[:54]}{'':18}1ABC1234")
        else:
            lines.append(line)
    end = lines.index("END") if "END" in lines else len(lines)
    others = [
        "HETATM 9001  O   HOH A 201      30.000  30.000  30.000  1.00 30.00           O",
        "HETATM 9002 CA    CA A 202      31.000  31.000  31.000  1.00 30.00          CA",
    ]
    return "\n".join([*lines[:end], *others, "END", ""])
