"""Labels of Rosetta models that came with the ProteinGCN sample (their own lDDT program and TMscore) against ours."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from gnnlib.heads.protein.io import read_structure
from gnnlib.heads.protein.training.decoys import label_decoy

MIRROR = Path(os.environ.get("GNNLIB_DATA") or Path(__file__).parents[3] / "shared" / "data")
FOLDER = MIRROR / "protein" / "decoys" / "proteingcn"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no Rosetta models below {MIRROR}; name a mirror of the data in GNNLIB_DATA"
)


@pytest.mark.parametrize("target", ["1ew0A", "1eyvA", "1ez3A", "1ezgA"])
def test_our_lddt_and_gdt_are_those_of_the_programs_that_labelled_the_models(target: str) -> None:
    native = read_structure(FOLDER / target / "native.pdb.gz")
    with gzip.open(FOLDER / target / "TM.dat.gz", "rt") as file:
        table = [line.split() for line in file if "tag" in line]
    gdt = {words[1]: float(words[3]) for words in table}
    models = sorted((FOLDER / target).glob("tag*.pdb.gz"))
    assert len(models) == 5
    for path in models:
        model = read_structure(path)
        with gzip.open(path.with_suffix(".error.gz"), "rt") as file:
            stored = np.array([float(line.split()[2]) for line in file if not line.startswith("#")])
        decoy = label_decoy(path.name, "predicted", model.sequence, model.ca, native.ca)
        assert np.abs(decoy.lddt - stored).max() < 6e-4  # stored with three decimals
        assert abs(decoy.gdt_ts - gdt[path.name.removesuffix(".gz")]) < 0.01
