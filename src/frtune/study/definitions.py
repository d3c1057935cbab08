"""What each statistic of a study is, for readers: its axis, its meaning, its paper."""

from __future__ import annotations

from typing import NamedTuple


class Definition(NamedTuple):
    """A statistic for readers.

    Attributes:
        name: What it is called.
        label: Its axis, with the unit.
        text: What it is and how to read it.
        paper: Where it comes from; empty for what needs no source.
    """

    name: str
    label: str
    text: str
    paper: str = ""


_ETHAYARAJH = "Ethayarajh 2019, arXiv:1909.00512"
_ALAIN = "Alain and Bengio 2017, arXiv:1610.01644"
_BOOTSTRAP = "intervals are 95% bootstrap intervals over the held-out texts"

DEFINITIONS = {
    "cosine_within": Definition(
        "Cosine within a text", "cosine",
        "Mean cosine of two different tokens of one text, then mean over the texts. It rises as "
        "the tokens of a text become alike: the convergence of the cosines.",
        _ETHAYARAJH),
    "cosine_between": Definition(
        "Cosine between texts (anisotropy)", "cosine",
        "Mean cosine of two tokens of different texts. 0: the vectors point in all directions; "
        "1: all in one.",
        _ETHAYARAJH),
    "cosine_first": Definition(
        "First token to the rest", "cosine",
        "Mean cosine of the vector at a text's first place ([CLS], <s>) to the text's other "
        "tokens."),
    "cosine_mean": Definition(
        "Tokens to their mean", "cosine",
        "Mean cosine of a text's tokens to their mean vector.",
        _ETHAYARAJH),
    "self_similarity": Definition(
        "Self-similarity", "cosine",
        "Mean cosine of two occurrences of the same token, over the most frequent tokens. 1: the "
        "same vector wherever it stands; lower: the vector depends on its context.",
        _ETHAYARAJH),
    "cosine_next": Definition(
        "To the next layer", "cosine",
        "Mean cosine of a token's vector to its own in the next layer. 1: the layer turns nothing.",
    ),
    "norm_q50": Definition(
        "Norm, median", "Euclidean norm",
        "Length of a token's vector: the median over the tokens. The band in the plot goes from "
        "the 5% to the 95% quantile."),
    "norm_mean": Definition("Norm, mean", "Euclidean norm", "Mean length of a token's vector."),
    "norm_std": Definition("Norm, spread", "Euclidean norm", "Standard deviation of the lengths."),
    "outlier_dimensions": Definition(
        "Outlier dimensions", "dimensions",
        "Dimensions whose mean over the tokens lies more than 3 standard deviations from the mean "
        "of all dimensions.",
        "Luo et al. 2021, arXiv:2011.04393"),
    "outlier_cosine_share": Definition(
        "Their share of the cosine", "share of the cosine",
        "Share of the cosine between texts that the outlier dimensions bring. Near 1: a few "
        "dimensions decide which vectors look alike.",
        "Timkey and van Schijndel 2021, arXiv:2109.04404"),
    "effective_rank": Definition(
        "Effective rank", "dimensions",
        "How many directions the tokens use: the exponential of the entropy of the covariance's "
        "eigenvalues.",
        "Roy and Vetterli 2007, EUSIPCO"),
    "participation_ratio": Definition(
        "Participation ratio", "dimensions",
        "How many directions carry most of the variance: the eigenvalues' sum squared over the "
        "sum of their squares.",
        "Gao et al. 2017, bioRxiv 214262"),
    "top1_share": Definition(
        "First component", "share of the variance",
        "Share of the variance along the first principal component."),
    "top10_share": Definition(
        "First ten components", "share of the variance",
        "Share of the variance along the first ten principal components."),
    "isotropy": Definition(
        "IsoScore", "IsoScore",
        "How evenly the variance is spread over the directions: 1 evenly, 0 along one line.",
        "Rudman et al. 2022, arXiv:2108.07344"),
    "drift_cosine": Definition(
        "Turn", "1 - cosine",
        "1 less the cosine of a token's vectors in the two checkpoints, mean over sampled tokens. "
        "0: the direction is the same; 1: at right angles."),
    "drift_distance": Definition(
        "Relative distance", "relative distance",
        "Distance of a token's vectors in the two checkpoints over the length of the first, mean "
        "over sampled tokens. 0: unmoved."),
    "procrustes": Definition(
        "Procrustes distance", "Procrustes distance",
        "What is left between two layers, centred and scaled to one, after the best rotation: 0 "
        "for equal up to rotation and scale, at most 2.",
        "Ding et al. 2021, arXiv:2108.01661"),
    "neighbours": Definition(
        "Neighbours kept", "share of the neighbours",
        "Share of a token's nearest neighbours among the sampled tokens, by cosine, that are the "
        "same in both checkpoints.",
        "Gonen et al. 2020, ACL"),
    "cka": Definition(
        "CKA", "linear CKA",
        "Linear centred kernel alignment of two layers on the same tokens: 1 where they are equal "
        "up to rotation and scale, 0 where they share nothing.",
        "Kornblith et al. 2019, arXiv:1905.00414"),
    "cka_debiased": Definition(
        "CKA, debiased", "linear CKA",
        "CKA by the unbiased estimator of HSIC: about 0 for layers that share nothing, however few "
        "the tokens, at times below. Plain CKA is higher with fewer tokens than dimensions.",
        "Nguyen et al. 2021, arXiv:2010.15327"),
    "cka_texts_debiased": Definition(
        "CKA of texts, debiased", "linear CKA",
        "The same on the mean vectors of the texts.",
        "Nguyen et al. 2021, arXiv:2010.15327"),
    "cka_texts": Definition(
        "CKA of texts", "linear CKA",
        "The same on the mean vectors of the texts, where the tokens of two checkpoints differ.",
        "Kornblith et al. 2019, arXiv:1905.00414"),
    "probe_mean_accuracy": Definition(
        "Probe, mean vector", "accuracy",
        "Share of held-out texts that a logistic regression on the mean of a text's token vectors "
        f"classifies rightly; {_BOOTSTRAP}.",
        _ALAIN),
    "probe_first_accuracy": Definition(
        "Probe, first token", "accuracy",
        f"The same on the vector at the text's first place; {_BOOTSTRAP}.",
        _ALAIN),
    "fisher_mean": Definition(
        "Fisher ratio, mean vector", "Fisher ratio",
        "Scatter between the classes over scatter within them. Larger: better separated.",
        "Fisher 1936, Annals of Eugenics 7"),
    "fisher_first": Definition(
        "Fisher ratio, first token", "Fisher ratio", "The same of the first token's vector.",
        "Fisher 1936, Annals of Eugenics 7"),
    "silhouette_mean": Definition(
        "Silhouette, mean vector", "silhouette",
        "How much nearer a text lies to its own class than to the nearest other one: -1 to 1, 0 on "
        "the border.",
        "Rousseeuw 1987, J. Comput. Appl. Math. 20"),
    "silhouette_first": Definition(
        "Silhouette, first token", "silhouette", "The same of the first token's vector.",
        "Rousseeuw 1987, J. Comput. Appl. Math. 20"),
}  # fmt: skip

ADJUSTED = (
    "Less anisotropy: the cosine less what the same comparison gives across texts, in the same "
    "layer (Ethayarajh 2019). What is left is not owed to all vectors pointing one way."
)


def name_of(statistic: str) -> str:
    """Return a statistic's name for readers.

    Example:
        >>> name_of("cosine_within_adjusted")
        'Cosine within a text, less anisotropy'
    """
    base = statistic.removesuffix("_adjusted")
    suffix = ", less anisotropy" if base != statistic else ""
    return f"{DEFINITIONS[base].name}{suffix}" if base in DEFINITIONS else statistic
