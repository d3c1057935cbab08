"""The scores of all four tasks agree with other libraries, and with counts made anew here."""

from __future__ import annotations

import math
import random
import warnings
from itertools import chain

import pytest
from rouge_score import rouge_scorer
from scipy import stats
from sklearn import metrics as sklearn

from frtune.metrics import (
    class_scores,
    classification_scores,
    correlation_scores,
    keyphrase_scores,
    keyword_scores,
    roc_auc,
    rouge_scores,
    rouge_scores_per_document,
    span_scores,
    tagged_spans,
    token_scores,
)

CASES = 300


def f1(hits, shown, wanted):
    return 2 * hits / (shown + wanted) if shown + wanted else 0.0


def test_classes_are_sklearns_and_a_recount():
    draw = random.Random(1)
    for case in range(CASES):
        rows, labels = draw.randint(1, 30), "abcde"[: draw.randint(1, 5)]
        true, said = ([draw.choice(labels) for _ in range(rows)] for _ in range(2))
        scores, seen = classification_scores(said, true), sorted({*true, *said})
        each = []
        for label in seen:
            right = sum(t == s == label for t, s in zip(true, said, strict=True))
            each.append((right, said.count(label), true.count(label)))
        assert scores["accuracy"] == pytest.approx(sum(n for n, *_ in each) / rows)
        assert scores["f1_macro"] == pytest.approx(sum(f1(*n) for n in each) / len(seen))
        weighted = sum(f1(*n) * n[2] for n in each) / rows
        assert scores["f1_weighted"] == pytest.approx(weighted)
        average = ("macro", "weighted")[case % 2]
        options = {"average": average, "zero_division": 0}
        found = sklearn.precision_recall_fscore_support(true, said, **options)[:3]
        names = [f"{name}_{average}" for name in ("precision", "recall", "f1")]
        assert [scores[name] for name in names] == pytest.approx(found)
        if case % 10 == 0:
            own = class_scores(said, true, seen)
            assert [own[label]["f1"] for label in seen] == pytest.approx([f1(*n) for n in each])
        if len(seen) > 1 and case % 2:
            assert scores["mcc"] == pytest.approx(sklearn.matthews_corrcoef(true, said))


def test_pairs_are_sklearns_scipys_and_a_recount():
    draw = random.Random(2)
    for _ in range(CASES):
        rows = draw.randint(3, 30)
        x = [round(draw.random(), 1) for _ in range(rows)]
        y = [round(draw.random(), 1) for _ in range(rows)]
        positive = [value > 0.5 for value in y]
        yes, no = ([a for a, p in zip(x, positive, strict=True) if p is kind]
                   for kind in (True, False))  # fmt: skip
        if yes and no:
            won = sum((a > b) + (a == b) / 2 for a in yes for b in no) / len(yes) / len(no)
            assert roc_auc(x, positive) == pytest.approx(won)
            assert won == pytest.approx(sklearn.roc_auc_score(positive, x))
        if len(set(x)) > 1 and len(set(y)) > 1:
            scores = correlation_scores(x, y)
            assert scores["pearson"] == pytest.approx(stats.pearsonr(x, y)[0])
            assert scores["spearman"] == pytest.approx(stats.spearmanr(x, y)[0])
            assert scores["mse"] == pytest.approx(sklearn.mean_squared_error(y, x))


def test_spans_and_tokens_are_seqevals_sklearns_and_a_recount():
    seqeval = pytest.importorskip("seqeval.metrics")
    draw = random.Random(3)
    for _ in range(CASES):
        texts = [draw.randint(1, 12) for _ in range(draw.randint(1, 5))]
        true, said = ([draw.choices([0, 1, 2], [4, 2, 2], k=size) for size in texts]
                      for _ in range(2))  # fmt: skip
        tags = [[["O", "B-K", "I-K"][label] for label in row] for row in true]
        given = [[["O", "B-K", "I-K"][label] for label in row] for row in said]
        scores = span_scores([*map(tagged_spans, said)], [*map(tagged_spans, true)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in ("precision", "recall", "f1"):
                theirs = getattr(seqeval, f"{name}_score")(tags, given, zero_division=0)
                assert scores[f"span_{name}"] == pytest.approx(theirs)
        tokens, flat = token_scores(said, true), ([*chain(*true)], [*chain(*said)])
        assert tokens["token_accuracy"] == pytest.approx(sklearn.accuracy_score(*flat))
        macro = sklearn.f1_score(*flat, average="macro", zero_division=0)
        assert tokens["token_f1_macro"] == pytest.approx(macro)
        names = ["".join(draw.choices("abcd", k=1)) for _ in range(8)]
        left, right = ([draw.sample(names, draw.randint(0, 5)) for _ in texts] for _ in range(2))
        pairs = [(set(p), set(t)) for p, t in zip(left, right, strict=True)]
        counts = [sum(n) for n in zip(*((len(p & t), len(p), len(t)) for p, t in pairs),
                                      strict=True)]  # fmt: skip
        found = keyword_scores(left, right)
        assert found["keyword_f1"] == pytest.approx(f1(*counts))
        each = [f1(len(p & t), len(p), len(t)) if p or t else 1.0 for p, t in pairs]
        assert found["keyword_f1_macro"] == pytest.approx(sum(each) / len(each))


def test_rouge_is_rouge_scores():
    draw, words = random.Random(4), ["the", "solar", "cell", "wind", "2.5", "a", "\n"]
    keys = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(keys)
    texts = [[" ".join(draw.choices(words, k=draw.randint(0, 12))) for _ in range(CASES)]
             for _ in range(2)]  # fmt: skip
    each = rouge_scores_per_document(*texts, tokenizer="rouge")
    theirs = [scorer.score(true, said) for said, true in zip(*texts, strict=True)]
    for key in keys:
        assert each[key] == [score[key].fmeasure for score in theirs]
    said, true = ([row.split() for row in rows] for rows in texts)
    for row, (left, right) in enumerate(zip(said, true, strict=True)):
        shared = sum(min(left.count(word), right.count(word)) for word in set(left))
        own = rouge_scores([left], [right])["rouge1"]
        assert own == pytest.approx(f1(shared, len(left), len(right))), row


@pytest.mark.parametrize("match", ["exact", "partial"])
def test_keyphrases_are_a_recount(match):
    draw, names = random.Random(5), ["a", "b", "ab", "a b", "c", "b c", "d"]
    for _ in range(CASES):
        rows = [[draw.choices(names, k=draw.randint(0, 6)) for _ in range(2)]
                for _ in range(draw.randint(1, 4))]  # fmt: skip
        k, texts = draw.randint(1, 4), [" ".join(draw.choices("abcd", k=3)) for _ in rows]
        found = keyphrase_scores(*zip(*rows, strict=True), k=k, match=match, texts=texts)
        for part in ("", "present_", "absent_"):
            sums, scores = {cut: [0, 0, 0] for cut in "kmo"}, {cut: [] for cut in "kmo"}
            for (said, true), text in zip(rows, texts, strict=True):
                if part:
                    here = part == "present_"
                    said, true = ([p for p in row if (f" {p} " in f" {text} ") is here]
                                  for row in (said, true))  # fmt: skip
                if match == "exact":
                    said, true = [*dict.fromkeys(said)], [*dict.fromkeys(true)]
                for cut, size in (("k", k), ("m", len(said)), ("o", len(true))):
                    shown = said[:size]

                    def alike(p, t):
                        return p == t if match == "exact" else p in t or t in p

                    hits = sum(any(alike(p, t) for t in true) for p in shown)
                    missed = sum(not any(alike(p, t) for p in shown) for t in true)
                    for place, count in enumerate((hits, len(shown) - hits, missed)):
                        sums[cut][place] += count
                    below = 2 * hits + len(shown) - hits + missed
                    scores[cut].append(2 * hits / below if below else 0.0)
            for cut, name in (("k", k), ("m", "m"), ("o", "o")):
                hits, wrong, missed = sums[cut]
                below = 2 * hits + wrong + missed
                micro = 2 * hits / below if below else 0.0
                assert math.isclose(found[f"micro_{part}f1_at_{name}"], micro)
                mean = sum(scores[cut]) / len(rows)
                assert math.isclose(found[f"{part}f1_at_{name}"], mean, abs_tol=1e-12)
