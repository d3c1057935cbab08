"""Two sets of vectors of the same things: how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frtune.errors import InputError
from frtune.study.covariance import ROUNDING

_SMALLEST_NORM = 1e-12
_FEW = 1000  # vectors from which float32 has digits enough, and float64 costs time


def drift(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each vector moved.

    Args:
        before: float ``(n, width)``.
        after: float ``(n, width)``: the same tokens in the other model.

    Returns:
        ``1 - cos(before, after)`` and ``|after - before| / |before|``, each float64 ``(n,)``; 0 is
        a vector that did not move, ``nan`` one of length 0, which has no direction.

    Example:
        >>> import numpy as np
        >>> cosine, distance = drift(np.eye(2), np.array([[2.0, 0.0], [1.0, 0.0]]))
        >>> cosine.tolist(), distance.round(3).tolist()
        ([0.0, 1.0], [1.0, 1.414])
    """
    a, b = before.astype(float), after.astype(float)
    lengths = [np.linalg.norm(x, axis=1) for x in (a, b)]
    first, second = (np.where(length > _SMALLEST_NORM, length, np.nan) for length in lengths)
    turn = np.where((a == b).all(axis=1), 0 * first, 1 - (a * b).sum(1) / (first * second))
    return turn, np.linalg.norm(b - a, axis=1) / first


def linear_cka(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Linear CKA of every layer of one model with every layer of another.

    ``|Y'X|^2 / (|X'X| |Y'Y|)`` in Frobenius norms, columns centred (Kornblith et al. 2019,
    equation 5 with the linear kernel). 1 means equal up to rotation and scale. It is biased upwards
    where vectors are few for their width, see ``chance_cka``; ``debiased_cka`` is not.

    Args:
        first: One array ``(n, width)`` a layer.
        second: The same of the other model, for the same ``n`` things; widths may differ.

    Returns:
        float64 ``(len(first), len(second))``; ``nan`` where a layer has no variance.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 0.0]])
        >>> linear_cka([x, 2 * x[:, ::-1]], [x]).round(6).tolist()
        [[1.0], [1.0]]
    """
    return both_cka(first, second)[0]


def debiased_cka(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Linear CKA by the unbiased estimator of HSIC, as ``linear_cka`` else.

    HSIC is estimated by equation 5 of Song et al. (2012), as in Nguyen, Raghu and Kornblith (2021,
    equation 3): about 0 for unrelated layers however few the vectors, at times below; 1 for equal
    ones. ``nan`` for fewer than 4 vectors, too.

    Example:
        >>> import numpy as np
        >>> x, y = np.random.default_rng(0).normal(size=(2, 100, 500))
        >>> linear_cka([x], [y]).round(2).item(), abs(debiased_cka([x], [y]).item()) < 0.02
        (0.83, True)
    """
    return both_cka(first, second)[1]


def both_cka(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """``linear_cka`` and ``debiased_cka``, whose matrix products are the same."""
    n = len(first[0])
    a, b = (
        [_centred(x.astype(float) if n < _FEW else x) for x in each] for each in (first, second)
    )
    own = [[_alignments(x, x) for x in each] for each in (a, b)]
    found = np.full((2, len(a), len(b)), np.nan)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            across = _alignments(x, y)
            for kind in range(2):
                scale = own[0][i][kind] * own[1][j][kind]
                if scale > 0:
                    found[kind, i, j] = min(1.0, across[kind] / scale**0.5)
    return found[0], found[1]


def chance_cka(vectors: int, first: int, second: int) -> float:
    """What ``linear_cka`` gives for unrelated layers of these widths, from so many vectors.

    That is for independent Gaussians of equal variance in all directions, whose matrices ``X'X``
    follow Wishart's law.

    Example:
        >>> round(chance_cka(150, 768, 768), 2), round(chance_cka(100_000, 768, 768), 2)
        (0.84, 0.01)
    """
    return float(np.sqrt(first * second / ((vectors + first) * (vectors + second))))


def _alignments(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """HSIC of centred ``x`` and ``y``, biased and unbiased, times what does not depend on them.

    With the kernels K = XX' and L = YY', whose rows sum to 0, and their diagonals k and l, each
    sum over the kernels with an empty diagonal follows from |X'Y|^2, k'l and the sums of k and l.
    """
    n = len(x)
    biased = _frobenius(x.T @ y) ** 2
    k, l = (np.einsum("ij,ij->i", each, each, dtype=float) for each in (x, y))  # noqa: E741
    if n < 4:
        return biased, np.nan
    both = float(k @ l)
    unbiased = biased - both + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 * both / (n - 2)
    return biased, unbiased


def procrustes_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Distance left after the best rotation of one set onto the other.

    Both are centred and scaled to Frobenius norm 1; then ``2 - 2 |X'Y|`` with the nuclear norm
    (Schönemann 1966; as a distance of representations Ding, Denain and Steinhardt 2021, section 2).
    From 0 (equal up to rotation and scale) to 2. ``nan`` where a set has no variance. With fewer
    vectors than dimensions it is near 0 for any two sets.

    Args:
        first: float ``(n, width)``.
        second: float ``(n, other width)``, of the same things.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 0.0]])
        >>> abs(round(procrustes_distance(x, 5 * x[:, ::-1] + 1), 6))
        0.0
    """
    a, b = _centred(first.astype(float)), _centred(second.astype(float))
    if not (a.any() and b.any()):
        return float("nan")
    if a.shape == b.shape and (a == b).all():
        return 0.0
    return max(0.0, float(2 - 2 * np.linalg.svd(a.T @ b, compute_uv=False).sum()))


def neighbour_overlap(first: np.ndarray, second: np.ndarray, *, k: int = 10) -> np.ndarray:
    """Share of each vector's ``k`` nearest neighbours by cosine that are the same in both sets.

    As Gonen et al. 2020 ("Simple, Interpretable and Stable Method for Detecting Words with Usage
    Change across Corpora", section 3), as a share of ``k``. Of vectors that
    are equally near, the first ones count. By chance ``k / (n - 1)`` are the same.

    Args:
        first: float ``(n, width)``.
        second: float ``(n, other width)``, of the same things.
        k: Neighbours, the vector itself left out.

    Returns:
        float64 ``(n,)``; ``nan`` where all vectors of a set are the same, or have no length.

    Raises:
        InputError: If there are not more than ``k`` vectors.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
        >>> neighbour_overlap(x, 3 * x, k=1).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    n = len(first)
    if n <= k:
        raise InputError(f"neighbours={k}: fewer than the {n} vectors. Pass fewer, or more texts.")
    if not all(_centred(each.astype(float)).any() for each in (first, second)):
        return np.full(n, np.nan)
    found = np.zeros((n, n), bool)
    np.put_along_axis(found, _nearest(first, k), True, axis=1)
    return np.take_along_axis(found, _nearest(second, k), axis=1).mean(1)


def _nearest(vectors: np.ndarray, k: int) -> np.ndarray:
    norms = np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    units = vectors / norms.clip(_SMALLEST_NORM)
    # rounded, so that equal vectors (a word's embeddings) are equally near whatever the last digit
    cosines = (units @ units.T).round(9)
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k]


def _centred(vectors: np.ndarray) -> np.ndarray:
    """Centre the columns, and scale the whole to Frobenius norm 1, which keeps float32 exact.

    Vectors that are all the same, but for rounding, become 0.
    """
    centred = vectors - vectors.mean(0, dtype=float).astype(vectors.dtype)
    norm = _frobenius(centred)
    if norm <= ROUNDING * _frobenius(vectors):
        return np.zeros_like(vectors)
    return centred / vectors.dtype.type(norm)


def _frobenius(matrix: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("ij,ij->", matrix, matrix, dtype=float)))
