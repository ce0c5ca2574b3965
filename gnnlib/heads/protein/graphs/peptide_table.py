"""Coefficients of `gnnlib.heads.protein.graphs.trace`: gamma of a peptide plane from the C-alpha trace around it.

Made by ``fit_peptide_angle`` from the training chains with backbone. 92 rows; the first 42 are Fourier terms of the own
virtual dihedral times powers of the two virtual bond angles, the others times the neighbouring dihedrals and angles.
"""

from __future__ import annotations

import numpy as np

__all__ = ["PEPTIDE_COEFFICIENTS"]

# fmt: off
_TENTHOUSANDTHS = (
    -5703, -1335, -15971, 5904, 1455, -1398, 4893, 4533, 983, -1455, 2864, -761, 1190, 2730,
    569, -8423, 1419, -7465, 4052, -14030, 2357, -8142, -6764, -2055, 1870, -1333, 2271, 3716,
    3454, -5775, -1889, 2243, 1732, 2477, 2594, -5341, -104, 890, 1134, 7010, 1855, -3637,
    655, 8917, 606, 3160, 3368, -7777, -2142, 3812, 12132, -4410, 2291, -4878, 21229, -11902,
    1859, 2129, 4400, -21867, 586, 3256, -323, 10051, 1761, 7484, 1690, 783, -1146, 10814,
    2658, 4483, 5, -16, -4027, 2535, 2886, 2253, -5222, -1866, -1473, 5056, 3951, 2900,
    -428, 681, -729, 347, -708, 593, -218, 153, 121, -311, -57, -68, 301, 34,
    140, 798, -483, 255, -234, 83, 239, 350, 130, 547, -58, -69, 263, -52,
    -326, -444, -31, -398, -11, 806, 111, 1787, -28, 415, 795, 86, -12, 584,
    -183, 547, -293, -285, -255, -62, -87, 54, -2, -31, 86, -52, -361, 674,
    -89, 1013, -467, 133, 151, -518, 329, -297, 526, 379, 378, 41, 404, 115,
    177, 548, -116, -687, -649, 231, -46, -1059, 361, 1192, -80, -329, -207, 134,
    -41, -227, -135, 45, 307, 174, 173, 142, -29, 3, 244, -455, 1079, -423,
    372, -109,
)
# fmt: on

#: Coefficients [92, 2] of the cosine and the sine of gamma.
PEPTIDE_COEFFICIENTS = np.array(_TENTHOUSANDTHS).reshape(-1, 2) / 10_000.0
