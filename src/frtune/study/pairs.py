"""Two sets of vectors of the same things: how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frtune.errors import InputError

_SMALLEST_NORM = 1e-12


def drift(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each vector moved.

    Args:
        before: float ``(n, width)``.
        after: float ``(n, width)``: the same tokens in the other model.

    Returns:
        ``1 - cos(before, after)`` and ``|after - before| / |before|``, each float64 ``(n,)``; 0 is
        a vector that did not move.

    Example:
        >>> import numpy as np
        >>> cosine, distance = drift(np.eye(2), np.array([[2.0, 0.0], [1.0, 0.0]]))
        >>> cosine.tolist(), distance.round(3).tolist()
        ([0.0, 1.0], [1.0, 1.414])
    """
    a, b = before.astype(float), after.astype(float)
    lengths = [np.linalg.norm(x, axis=1).clip(_SMALLEST_NORM) for x in (a, b)]
    cosine = (a * b).sum(1) / (lengths[0] * lengths[1])
    return 1 - cosine, np.linalg.norm(b - a, axis=1) / lengths[0]


def linear_cka(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Linear CKA of every layer of one model with every layer of another.

    ``|Y'X|^2 / (|X'X| |Y'Y|)`` in Frobenius norms, columns centred (Kornblith et al. 2019,
    equation 5 with the linear kernel). 1 means equal up to rotation and scale. It needs more
    vectors than dimensions to mean much: with few, any two sets are alike.

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
    others = [_centred(y) for y in second]
    norms_b = [_frobenius(b.T @ b) for b in others]
    found = np.full((len(first), len(second)), np.nan)
    for i, x in enumerate(first):
        a = _centred(x)
        norm_a = _frobenius(a.T @ a)
        for j, b in enumerate(others):
            if norm_a > 0 and norms_b[j] > 0:
                found[i, j] = _frobenius(b.T @ a) ** 2 / (norm_a * norms_b[j])
    return found


def procrustes_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Distance left after the best rotation of one set onto the other.

    Both are centred and scaled to Frobenius norm 1; then ``2 - 2 |X'Y|`` with the nuclear norm
    (Schönemann 1966; as a distance of representations Ding, Denain and Steinhardt 2021, section 2).
    From 0 (equal up to rotation and scale) to 2. ``nan`` where a set has no variance.

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
    return float(2 - 2 * np.linalg.svd(a.T @ b, compute_uv=False).sum())


def neighbour_overlap(first: np.ndarray, second: np.ndarray, *, k: int = 10) -> np.ndarray:
    """Share of each vector's ``k`` nearest neighbours by cosine that are the same in both sets.

    As Gonen et al. 2020 ("Simple, Interpretable and Stable Method for Detecting Words with Usage
    Change across Corpora", section 3), as a share of ``k``. Of vectors that
    are equally near, the first ones count.

    Args:
        first: float ``(n, width)``.
        second: float ``(n, other width)``, of the same things.
        k: Neighbours, the vector itself left out.

    Returns:
        float64 ``(n,)``.

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
    """Centre the columns, and scale the whole to Frobenius norm 1, which keeps float32 exact."""
    centred = vectors - vectors.mean(0, dtype=float).astype(vectors.dtype)
    norm = _frobenius(centred)
    return centred / vectors.dtype.type(norm) if norm > 0 else centred


def _frobenius(matrix: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("ij,ij->", matrix, matrix, dtype=float)))
