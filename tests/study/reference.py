"""Every statistic of a study the plain way: all hidden states kept, all pairs of tokens compared.

Nothing here is shared with ``frtune.study``: texts go through the model one by one, unpadded, and
formulas are written out over matrices of pairs, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class States:
    """All hidden states of one model, layer by layer.

    ``tokens``: a list of ``(tokens, width)``; ``text`` and ``ids`` say whose and which they are.
    ``first``, ``mean``: lists of ``(texts, width)``. ``first_is_word``: 0 is no special one.
    """

    tokens: list[np.ndarray]
    text: np.ndarray
    ids: np.ndarray
    first: list[np.ndarray]
    mean: list[np.ndarray]
    first_is_word: bool


def states_of(model, tokenizer, texts) -> States:
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    kept, text, ids, firsts = [], [], [], []
    for number, words in enumerate(texts):
        row = tokenizer(words)["input_ids"]
        with torch.no_grad():
            out = model(input_ids=torch.tensor([row]), output_hidden_states=True)
        layers = np.stack([h[0].double().numpy() for h in out.hidden_states])  # (layers, n, width)
        places = [i for i, token in enumerate(row) if token not in special]
        kept.append(layers[:, places])
        firsts.append(layers[:, 0])
        text += [number] * len(places)
        ids += [row[i] for i in places]
        first_is_word = places[0] == 0
    count = len(kept[0])
    return States(
        tokens=[np.concatenate([k[i] for k in kept]) for i in range(count)],
        text=np.array(text),
        ids=np.array(ids),
        first=[np.stack([f[i] for f in firsts]) for i in range(count)],
        mean=[np.stack([k[i].mean(0) for k in kept]) for i in range(count)],
        first_is_word=first_is_word,
    )


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def off_diagonal(matrix):
    return matrix[~np.eye(len(matrix), dtype=bool)]


def layer_statistics(states: States, layer: int, *, types=256, occurrences=5) -> dict[str, float]:
    x, text = states.tokens[layer], states.text
    u = unit(x)
    cosines = u @ u.T
    other_text = text[:, None] != text[None, :]
    between = cosines[other_text].mean()
    found = {**norm_statistics(x), **spectrum(x), "cosine_between": between}
    found |= outliers(x, u, other_text)
    adjusted = {
        "cosine_within": np.mean(
            [
                off_diagonal(cosines[np.ix_(text == t, text == t)]).mean()
                for t in np.unique(text)
                if (text == t).sum() > 1
            ]
        ),
        "cosine_mean": np.mean(
            [(u[text == t] @ unit(x[text == t].mean(0))).mean() for t in np.unique(text)]
        ),
        "self_similarity": self_similarity(cosines, states.ids, types, occurrences),
    }
    found |= adjusted | {f"{name}_adjusted": value - between for name, value in adjusted.items()}
    own, across = first_cosines(states, layer, u)
    found |= {"cosine_first": own, "cosine_first_adjusted": own - across}
    if layer + 1 < len(states.tokens):
        following = u @ unit(states.tokens[layer + 1]).T
        step = np.diag(following).mean()
        found |= {
            "cosine_next": step,
            "cosine_next_adjusted": step - following[other_text].mean(),
        }
    return {name: float(value) for name, value in found.items()}


def norm_statistics(x):
    norms = np.linalg.norm(x, axis=1)
    quantiles = {f"norm_q{q:02}": np.percentile(norms, q) for q in (5, 50, 95)}
    return {"norm_mean": norms.mean(), "norm_std": norms.std(), **quantiles}


def spectrum(x):
    values = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2 / len(x)
    d = x.shape[1]
    values = np.concatenate([values, np.zeros(d - len(values))])
    p = values / values.sum()
    # IsoScore from its definition: the points along their components, and the distance of the
    # diagonal of their covariance from the identity's
    diagonal = values / np.linalg.norm(values) * np.linalg.norm(np.ones(d))
    defect = np.linalg.norm(diagonal - np.ones(d)) / np.sqrt(2 * (d - np.sqrt(d)))
    share = (d - defect**2 * (d - np.sqrt(d))) ** 2 / d**2
    return {
        "effective_rank": np.exp(-np.sum(p[p > 0] * np.log(p[p > 0]))),
        "participation_ratio": 1 / np.sum(p**2),
        "top1_share": p[0],
        "top10_share": p[:10].sum(),
        "isotropy": (d * share - 1) / (d - 1),
    }


def outliers(x, u, other_text):
    mean = x.mean(0)
    chosen = [i for i in range(len(mean)) if abs(mean[i] - mean.mean()) > 3 * mean.std()]
    parts = [np.outer(u[:, i], u[:, i])[other_text].sum() for i in range(len(mean))]
    share = sum(parts[i] for i in chosen) / sum(parts)
    return {"outlier_dimensions": len(chosen), "outlier_cosine_share": share}


def self_similarity(cosines, ids, types, occurrences):
    values, counts = np.unique(ids, return_counts=True)
    order = sorted(range(len(values)), key=lambda i: (-counts[i], values[i]))[:types]
    found = [
        off_diagonal(cosines[np.ix_(ids == values[i], ids == values[i])]).mean()
        for i in order
        if counts[i] >= occurrences
    ]
    return np.mean(found) if found else np.nan


def first_cosines(states, layer, u):
    first, text = unit(states.first[layer]), states.text
    own, across = [], []
    for t in range(len(first)):
        rest = u[text == t][1:] if states.first_is_word else u[text == t]
        if len(rest):
            own.append((rest @ first[t]).mean())
        across += (u[text != t] @ first[t]).tolist()
    return np.mean(own), np.mean(across)


def drift(a, b):
    cosine = [1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]
    moved = [np.linalg.norm(y - x) / np.linalg.norm(x) for x, y in zip(a, b, strict=True)]
    return np.mean(cosine), np.mean(moved)


def cka(a, b):
    """By the Gram matrices of the examples, as HSIC (Kornblith et al. 2019, section 3)."""
    n = len(a)
    h = np.eye(n) - 1 / n
    k, m = h @ (a @ a.T) @ h, h @ (b @ b.T) @ h
    return np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))


def debiased_cka(a, b):
    """By the Gram matrices without their diagonal (Song et al. 2012, equation 5)."""
    n, one = len(a), np.ones(len(a))

    def hsic(k, m):
        cross = one @ k @ m @ one
        first = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (first - 2 / (n - 2) * cross) / (n * (n - 3))

    k, m = ((x - x.mean(0)) @ (x - x.mean(0)).T for x in (a, b))
    for each in (k, m):
        np.fill_diagonal(each, 0)
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def procrustes(a, b):
    """By the rotation itself; widths are made equal by zeros."""
    from scipy.linalg import orthogonal_procrustes

    width = max(a.shape[1], b.shape[1])
    a, b = (np.pad(x - x.mean(0), ((0, 0), (0, width - x.shape[1]))) for x in (a, b))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    rotation, _ = orthogonal_procrustes(a, b)
    return np.sum((a @ rotation - b) ** 2)


def neighbours(a, b, k):
    """Of equally near ones (to nine digits) the first count."""
    shared = []
    for i in range(len(a)):
        near = []
        for x in (unit(a), unit(b)):
            cosines = (x @ x[i]).round(9)
            others = [j for j in range(len(x)) if j != i]
            near.append(set(sorted(others, key=lambda j: (-cosines[j], j))[:k]))
        shared.append(len(near[0] & near[1]))
    return np.mean(shared) / k


def fisher(x, labels):
    total = np.sum((x - x.mean(0)) ** 2)
    within = sum(np.sum((x[labels == c] - x[labels == c].mean(0)) ** 2) for c in np.unique(labels))
    return (total - within) / within


def silhouette(x, labels):
    distances = np.linalg.norm(x[:, None] - x[None, :], axis=2)
    found = []
    for i, label in enumerate(labels):
        own = distances[i, (labels == label) & (np.arange(len(x)) != i)].mean()
        other = min(distances[i, labels == c].mean() for c in np.unique(labels) if c != label)
        found.append((other - own) / max(own, other))
    return np.mean(found)


def probe(x, labels, train, test):
    """Accuracy on ``test``; the penalty by three folds of ``train``, ties to the stronger one."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    def right(c, fit, score):
        centre, spread = x[fit].mean(0), x[fit].std(0)
        spread[spread == 0] = 1
        z = (x - centre) / spread
        model = LogisticRegression(C=c, max_iter=1000).fit(z[fit], labels[fit])
        return np.mean(model.predict(z[score]) == labels[score])

    folds = list(StratifiedKFold(3).split(train, labels[train]))
    strengths = [1e-3, 1e-2, 1e-1, 1.0]
    scores = [
        np.mean([right(c, train[fit], train[score]) for fit, score in folds]) for c in strengths
    ]
    return right(strengths[int(np.argmax(scores))], train, test)
