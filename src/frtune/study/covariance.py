"""Mean and covariance of a stream of vectors, and what their spectrum says."""

from __future__ import annotations

import numpy as np
import torch

OUTLIER_DEVIATIONS = 3.0
ROUNDING = 1e-6  # of float32, after a few layers
_ROWS = 512


class RunningCovariance:
    """Mean and covariance of vectors that come in batches.

    Each batch is centred on its own mean and its products are added in float64, as in Chan, Golub
    and LeVeque (1979, "Updating formulae and a pairwise algorithm"), so that a dimension whose
    mean is far larger than its spread loses no digits.

    Args:
        width: Dimensions of a vector.
        device: Where the vectors are.
    """

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        self.count = 0
        self._mean = torch.zeros(width, dtype=torch.float64, device=device)
        self._scatter = torch.zeros(width, width, dtype=torch.float64, device=device)

    def add(self, vectors: torch.Tensor) -> None:
        """Add float32 ``vectors`` of shape ``(n, width)``."""
        near = vectors.mean(0)
        centred = vectors - near
        rest = centred.mean(0, dtype=torch.float64)  # what the rounded mean left over
        mean = near.double() + rest
        added, total = len(vectors), self.count + len(vectors)
        for part in centred.split(_ROWS):  # long sums in float32 lose digits
            self._scatter += part.T @ part
        self._scatter.addr_(rest, rest, alpha=-added)
        step = mean - self._mean
        self._scatter.addr_(step, step, alpha=self.count * added / total)
        self._mean += step * (added / total)
        self.count = total

    @property
    def mean(self) -> np.ndarray:
        """Mean vector, float64 ``(width,)``."""
        return self._mean.cpu().numpy()

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (divided by the count), float64 ``(width, width)``."""
        return (self._scatter / max(self.count, 1)).cpu().numpy()


def outlier_dimensions(mean: np.ndarray) -> np.ndarray:
    """Return the outlier dimensions of a mean vector.

    A dimension is one if its mean is more than 3 standard deviations from the mean over all
    dimensions (Luo, Kulmizev and Mao 2021, "Positional Artefacts Propagate Through Masked Language
    Model Embeddings", section 3; Timkey and van Schijndel 2021 call them rogue dimensions).

    Args:
        mean: float64 ``(width,)``.

    Returns:
        Their numbers, int64.

    Example:
        >>> import numpy as np
        >>> outlier_dimensions(np.array([0.1, -0.1] * 20 + [9.0])).tolist()
        [40]
    """
    spread = mean.std()
    if spread <= ROUNDING * np.abs(mean).max(initial=0):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.abs(mean - mean.mean()) > OUTLIER_DEVIATIONS * spread)


def spectrum(covariance: np.ndarray, mean: np.ndarray | None = None) -> dict[str, float]:
    """Describe how evenly the variance is spread, from the eigenvalues of the covariance.

    With eigenvalues ``l_i`` of ``d`` dimensions and shares ``p_i = l_i / sum(l)``:

    - ``effective_rank``: ``exp(-sum(p_i log p_i))`` (Roy and Vetterli 2007, definition 1).
    - ``participation_ratio``: ``sum(l)**2 / sum(l**2)`` (Gao et al. 2017).
    - ``top1_share``, ``top10_share``: share of the variance along the first 1 and 10 components.
    - ``isotropy``: IsoScore (Rudman et al. 2022, algorithm 1): 1 where the variance is the same
      along all components, 0 where it lies along one.

    Args:
        covariance: float64 ``(width, width)``.
        mean: float64 ``(width,)``; the variance is rounding where it is less than 1e-12 of the
            mean's square.

    Returns:
        The five numbers; all ``nan`` where there is no variance.

    Example:
        >>> import numpy as np
        >>> {name: round(value, 3) for name, value in spectrum(np.diag([3.0, 3.0, 0.0])).items()}
        {'effective_rank': 2.0, 'participation_ratio': 2.0, 'top1_share': 0.5, 'top10_share': 1.0,
        'isotropy': 0.5}
    """
    names = ("effective_rank", "participation_ratio", "top1_share", "top10_share", "isotropy")
    values = np.linalg.eigvalsh(covariance)[::-1].clip(min=0)
    total = values.sum()
    if not total > (0 if mean is None else ROUNDING**2 * float(mean @ mean)):
        return dict.fromkeys(names, float("nan"))
    shares = values / total
    positive = shares[shares > 0]
    found = (
        np.exp(-(positive * np.log(positive)).sum()),
        total**2 / (values**2).sum(),
        shares[0],
        shares[:10].sum(),
        _isoscore(values),
    )
    return {name: float(value) for name, value in zip(names, found, strict=True)}


def _isoscore(variances: np.ndarray) -> float:
    """IsoScore of the variances along the principal components, steps 3 to 7 of algorithm 1."""
    d = len(variances)
    if d < 2:
        return float("nan")
    scaled = np.sqrt(d) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(scaled - 1) / np.sqrt(2 * (d - np.sqrt(d)))
    used = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2
    return float((d * used - 1) / (d - 1))
