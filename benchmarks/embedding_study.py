"""Statistics of hidden states: frtune's one pass beside the straightforward way.

    python benchmarks/embedding_study.py

The straightforward way keeps all hidden states, padded to one length so that ``np.concatenate`` can
join each batch to the ones before, and then takes norms, means, the spectrum, and cosines by
scikit-learn's ``cosine_similarity``: all pairs within a text, [CLS] and the mean vector to the
tokens, each token to the next layer, and for the anisotropy all pairs of 5,000 tokens at random,
since those of all tokens do not fit. frtune computes the same and more, the anisotropy of all.

The texts are film reviews. Times are those after loading the model (the model's own work included);
``mib_above_model`` is the peak above the loaded model. The numbers are those of the last layer.
"""

from __future__ import annotations

import functools
from typing import Any

from _compare import Timer, compare, minilm, parser, peak_mib, report, shared_data, warm_up

SAMPLED_TOKENS = 5000
BATCH = 16  # texts, of the straightforward way


def study(timer: Timer, work: Any, count: int) -> dict[str, float]:
    """Let one way find the statistics of so many texts."""
    import pandas as pd

    from frtune.study.checkpoints import load_base, read_checkpoint

    frame = pd.read_csv(shared_data() / "en_rotten_tomatoes" / "train.csv")
    texts = frame["text"].sample(count, random_state=0).tolist()
    checkpoint = read_checkpoint("model", minilm())
    model = load_base(checkpoint).model
    work(model, checkpoint.tokenizer, texts[:4])  # imports and first calls
    loaded = peak_mib()
    with timer:
        found = work(model, checkpoint.tokenizer, texts)
    rounded = {name: round(float(value), 6) for name, value in found.items()}
    return {"mib_above_model": round(peak_mib() - loaded, 1), **rounded}


def one_pass(model: Any, tokenizer: Any, texts: list[str]) -> dict[str, float]:
    """The way of frtune."""
    from frtune.study import layer_statistics

    frame = layer_statistics(model, tokenizer, texts)
    last = frame[frame["layer"] == frame["layer"].max()].set_index("statistic")["value"]
    names = ("norm_mean", "cosine_within", "cosine_first", "cosine_mean", "cosine_between")
    return {name: last[name] for name in (*names, "effective_rank")}


def keep_everything(model: Any, tokenizer: Any, texts: list[str]) -> dict[str, float]:
    """The straightforward way."""
    import numpy as np
    import torch
    from sklearn.metrics.pairwise import cosine_similarity

    encoded = tokenizer(texts, padding=True, truncation=True, max_length=512, return_tensors="pt")
    states = None
    for start in range(0, len(texts), BATCH):
        batch = {name: value[start : start + BATCH] for name, value in encoded.items()}
        with torch.no_grad():
            out = model(**batch, output_hidden_states=True)
        hidden = torch.stack(out.hidden_states, 1).numpy()  # (batch, layers, length, width)
        states = hidden if states is None else np.concatenate([states, hidden])
    lengths = encoded["attention_mask"].sum(1).tolist()
    for layer in range(states.shape[1]):
        texts_ = [states[i, layer, 1 : n - 1] for i, n in enumerate(lengths)]
        within, first, mean, following = [], [], [], []
        for i, words in enumerate(texts_):
            if len(words) > 1:
                cosines = cosine_similarity(words)
                within.append(cosines[~np.eye(len(words), dtype=bool)].mean())
            first.append(cosine_similarity(states[i, layer, :1], words).mean())
            mean.append(cosine_similarity(words.mean(0, keepdims=True), words).mean())
            if layer + 1 < states.shape[1]:
                after = states[i, layer + 1, 1 : lengths[i] - 1]
                following.append(np.diag(cosine_similarity(words, after)).mean())
        tokens = np.concatenate(texts_)
        norms = np.linalg.norm(tokens, axis=1)
        norms.std(), np.quantile(norms, [0.05, 0.5, 0.95])
        values = np.linalg.eigvalsh(np.cov(tokens.T))
        shares = values[values > 0] / values[values > 0].sum()
        picked = np.random.default_rng(0).choice(
            len(tokens), min(SAMPLED_TOKENS, len(tokens)), replace=False
        )
        between = cosine_similarity(tokens[picked])
        between = between[~np.eye(len(between), dtype=bool)].mean()
    return {
        "norm_mean": norms.mean(),
        "cosine_within": np.mean(within),
        "cosine_first": np.mean(first),
        "cosine_mean": np.mean(mean),
        "cosine_between": between,
        "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
    }


def main() -> None:
    """Measure both ways at all sizes."""
    made = parser(__doc__, rounds=2)
    made.add_argument("--sizes", type=int, nargs="+", default=[500, 2000])
    args = made.parse_args()
    if args.quick:
        args.sizes = [24]
    warm_up()
    ways = {"frtune": one_pass, "all states kept": keep_everything}
    table = [
        compare(
            f"embedding study, {size:,} texts",
            {name: functools.partial(study, work=way, count=size) for name, way in ways.items()},
            goals={"all states kept": 5},
            args=args,
        )
        for size in args.sizes
    ]
    report(__file__, table, args)


if __name__ == "__main__":
    main()
