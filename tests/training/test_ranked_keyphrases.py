"""Scores of generated phrases, votes, and what is kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean

import datasets
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LogitsProcessorList

import frtune
from frtune import InputError, KeyphraseGeneration
from frtune.cli import main
from frtune.inference import Predictor
from frtune.metrics.phrases import presence_test
from frtune.models.families import kind_of
from frtune.tasks.answer_choice import AnswerChoice
from frtune.tasks.generated import Generated
from frtune.tasks.phrase_scores import by_votes, phrase_spans
from frtune.training.draws import Draw, Votes
from frtune.training.encoded_rows import EncodedRows
from frtune.training.generation import generate_rows

TEXTS = [
    "Le budget de la commune.",
    "La cantine de l'école ouvre ses portes aux familles du quartier.",
    "Le vent.",
    "La ville vote le budget du théâtre, et le maire parle de la forêt.",
]
LIMIT = 24
FIXTURES = Path(__file__).parents[1] / "fixtures" / "v0_1_0" / "models"


@pytest.fixture(scope="module", params=["t5", "bart", "polyglot"])
def predictor(request, tiny):
    task = KeyphraseGeneration(
        max_source_tokens=64, max_target_tokens=LIMIT, language="fr", separator=";"
    )
    model, tokenizer = frtune.build_model(task, checkpoint=str(tiny(request.param)), proof=False)
    model.eval()
    return Predictor(task, model, tokenizer, batch_size=3)


def written(predictor, **options):
    encoded = predictor.encode_few(predictor.checked_rows(TEXTS))
    beams = {"num_beams": options.pop("num_beams")} if "num_beams" in options else {}
    return encoded, generate_rows(
        predictor.model, encoded, predictor.task, predictor.tokenizer,
        options=beams, batch_size=3, shared=False, **options,
    )  # fmt: skip


@torch.no_grad()
def forced(predictor, row, ids):
    """Log probabilities of the ids, by one pass over what was read and written."""
    model, ids = predictor.model, torch.tensor([ids])
    if kind_of(model) == "decoder":
        prompt = torch.tensor([row["input_ids"]])
        logits = model(input_ids=torch.cat([prompt, ids], 1)).logits[:, prompt.shape[1] - 1 : -1]
    else:
        logits = model(input_ids=torch.tensor([row["input_ids"]]), labels=ids).logits
    return logits.log_softmax(-1).gather(2, ids[..., None]).flatten().tolist()


@pytest.mark.parametrize("mode", ["greedy", "beams", "votes"])
def test_log_probs_are_those_of_one_forced_pass(predictor, mode):
    options = {
        "greedy": {"scored": True},
        "beams": {"scored": True, "num_beams": 3},
        "votes": {"votes": Votes(3, 7)},
    }[mode]
    encoded, found = written(predictor, **options)
    for i, row in enumerate(found):
        for each in row.votes or [row]:
            assert each.log_probs == pytest.approx(
                forced(predictor, encoded[i], each.ids), abs=1e-4
            )
    plain = {name: value for name, value in options.items() if name == "num_beams"}
    if mode != "votes":  # and nothing else is written
        assert [row.ids for row in found] == [row.ids for row in written(predictor, **plain)[1]]
    else:
        assert len({tuple(each.ids) for each in found[0].votes}) > 1


def test_a_prediction_has_scores_on_request_alone(predictor):
    plain, scored = predictor.predict(TEXTS), predictor.predict(TEXTS, scores=True)
    assert all("scores" not in answer for answer in plain)
    for a, b in zip(plain, scored, strict=True):
        assert a["keyphrases"] == b["keyphrases"]
        assert len(b["scores"]) == len(b["keyphrases"]) and all(0 <= s <= 1 for s in b["scores"])


def test_a_rows_votes_hang_on_the_seed_and_on_no_other_row(predictor):
    found = predictor.predict(TEXTS, votes=4, seed=1)
    assert found == predictor.predict(TEXTS, votes=4, seed=1)
    assert found != predictor.predict(TEXTS, votes=4, seed=2)
    alone = [predictor.predict(text, votes=4, seed=1)[0] for text in TEXTS]
    for a, b in zip(found, alone, strict=True):
        assert a["keyphrases"] == b["keyphrases"]
        assert a["scores"] == pytest.approx(b["scores"], abs=1e-5)
        assert a["scores"] == sorted(a["scores"], reverse=True)


def test_draws_follow_the_models_probabilities(predictor):
    _, found = written(predictor, votes=Votes(64, 3))
    row = found[0].votes
    first = [each.ids[0] for each in row]
    mean = fmean(each.log_probs[0] for each in row)
    logits = first_logits(predictor)
    entropy = -(logits.exp() * logits).sum().item()
    assert len(set(first)) > 1 and mean == pytest.approx(-entropy, abs=0.5)


def test_settings_of_sampling_shape_the_draws(predictor):
    encoded, greedy = written(predictor)
    drawn = generate_rows(
        predictor.model, encoded, predictor.task, predictor.tokenizer, shared=False,
        options={"do_sample": True, "top_k": 1}, votes=Votes(2, 3),
    )  # fmt: skip
    assert [[vote.ids for vote in row.votes] for row in drawn] == [[r.ids] * 2 for r in greedy]


@torch.no_grad()
def first_logits(predictor):
    row = predictor.encode_few(predictor.checked_rows(TEXTS))[0]
    ids = torch.tensor([row["input_ids"]])
    start = {} if kind_of(predictor.model) == "decoder" else {"labels": torch.tensor([[0]])}
    return predictor.model(input_ids=ids, **start).logits[0, -1].log_softmax(-1)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_phrases_with_scores_are_those_without(predictor, data):
    size = predictor.model.config.vocab_size
    words = predictor.tokenizer("vent; forêt; Vent; 1. x;")["input_ids"]
    token = st.integers(0, size - 1) | st.sampled_from(words)
    ids = data.draw(st.lists(token, min_size=1, max_size=16))
    logs = [-i / 4 for i in range(len(ids))]
    said, scored = (
        predictor.task.answers([Generated(ids, True, given)], None, predictor.tokenizer)[0]
        for given in (None, logs)
    )
    assert said["keyphrases"] == scored["keyphrases"]
    assert all(0 < score <= 1 for score in scored["scores"])


def test_each_phrase_has_its_own_tokens(predictor):
    tokenizer, task = predictor.tokenizer, predictor.task
    parts = ["forêt", "; ", "le théâtre de la ville", "; ", "été"]
    ids, owners = [], []
    for number, part in enumerate(parts):
        new = tokenizer(part, add_special_tokens=False)["input_ids"]
        ids, owners = ids + new, owners + [number] * len(new)
    wanted = {"forêt": 0.5, "le théâtre de la ville": 0.25, "été": 0.125}
    logs = [math.log([0.5, 1e-9, 0.25, 1e-9, 0.125][owner]) for owner in owners]
    (answer,) = task.answers([Generated(ids, True, logs)], None, tokenizer)
    assert dict(zip(answer["keyphrases"], answer["scores"], strict=True)) == pytest.approx(wanted)


def test_a_place_that_repeats_a_phrase_is_not_that_of_a_later_one():
    line = "1. solar cell; Solar Cell; cell"
    assert phrase_spans(line, ["solar cell", "cell"], "; ") == [(3, 13), (27, 31)]


def test_votes_are_merged_by_stem_and_ranked_by_share_then_probability():
    key = KeyphraseGeneration(language="en").merge_key()
    votes = [[("solar cells", 0.2), ("wind", 0.9)], [("Solar cell", 0.4)], [("solar cells", 0.6)],
             [("sun", 0.95), ("solar cell", 0.4), ("solar cells", 0.3)]]  # fmt: skip
    found = by_votes(votes, key)
    assert [phrase for phrase, _ in found] == ["solar cells", "sun", "wind"]
    assert found[0][1] == pytest.approx((3 + 0.4) / 4) and found[1][1] == pytest.approx(0.95 / 4)


@pytest.mark.parametrize("language", [None, "ko"])
def test_korean_votes_are_merged_whatever_their_spaces(language):
    key = KeyphraseGeneration(language=language).merge_key()
    votes = [[("인구 감소", 0.5)], [("인구감소", 0.7)], [("인구 감소", 0.6), ("인구", 0.9)]]
    found = by_votes(votes, key)
    assert [phrase for phrase, _ in found] == ["인구 감소", "인구"]
    assert found[0][1] == pytest.approx((2 + 0.6) / 3)
    # words of other scripts stay apart, and signs that are no words do not count
    assert key("real time") != key("realtime") and key("C") != key("C++")
    assert key("‘Real-Time’") == key("real time")


def test_what_is_kept_is_chosen_by_score_and_by_the_text(predictor):
    whole = predictor.predict(TEXTS, scores=True)
    for answer, best, high, here in zip(
        whole,
        predictor.predict(TEXTS, top_k=2),
        predictor.predict(TEXTS, min_score=0.01),
        predictor.predict(TEXTS, present_only=True),
        strict=True,
    ):
        pairs = list(zip(answer["keyphrases"], answer["scores"], strict=True))
        ranked = sorted(pairs, key=lambda pair: -pair[1])
        assert best["keyphrases"] == [phrase for phrase, _ in ranked[:2]]
        assert high["keyphrases"] == [phrase for phrase, score in pairs if score >= 0.01]
        stands = presence_test(answer["text"], "words", None)
        assert here["keyphrases"] == [phrase for phrase, _ in pairs if stands(phrase)]
        assert "scores" not in here


def test_a_call_goes_before_what_a_predictor_was_loaded_with(saved):
    loaded = frtune.load(saved, scores=True, present_only=True)
    (answer,) = loaded.predict("Le budget.", scores=False, present_only=False)
    assert [answer] == frtune.load(saved).predict("Le budget.")
    assert "scores" in loaded.predict("Le budget.")[0]


def test_an_adapter_has_the_scores_of_its_model():
    predictor = frtune.load(FIXTURES / "keyphrases_lora")
    encoded = predictor.encode_few(predictor.checked_rows(TEXTS))
    for i, row in enumerate(written(predictor, scored=True)[1]):
        assert row.log_probs == pytest.approx(forced(predictor, encoded[i], row.ids), abs=1e-4)


def test_present_phrases_alone_are_kept():
    rows = {"text": ["The wind blows."], "keyphrases": [["wind"]]}
    task = KeyphraseGeneration()
    (kept,) = task.choose(
        [{"keyphrases": ["sun", "Wind"]}],
        AnswerChoice(present_only=True),
        EncodedRows(rows),
    )
    assert kept == {"keyphrases": ["Wind"]}


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    task = KeyphraseGeneration(max_source_tokens=32, max_target_tokens=12)
    model, tokenizer = frtune.build_model(task, checkpoint=tiny("t5"), proof=False)
    directory = tmp_path_factory.mktemp("ranked")
    args = frtune.training_arguments(task, str(directory), eval_strategy="no", save_strategy="no",
                                     load_best_model_at_end=False, bf16=False)  # fmt: skip
    return str(frtune.save(task.trainer(model, tokenizer, args), directory / "model"))


def test_commands_rank_and_sign(saved, tmp_path, capsys):
    flags = ["--votes", "3", "--seed", "5", "--top-k", "2"]
    assert main(["predict", saved, "--text", "Le budget.", *flags]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [said] == frtune.load(saved).predict(["Le budget."], votes=3, seed=5, top_k=2)
    assert len(said["keyphrases"]) == len(said["scores"]) <= 2
    assert main(["predict", saved, "--text", "Le budget.", "--scores"]) == 0
    assert "scores" in json.loads(capsys.readouterr().out)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "Le budget.", "keyphrases": ["budget"]}\n' * 2)
    out = tmp_path / "scores"
    more = [*flags, "--present-only"]
    assert main(["evaluate", saved, "--data", str(rows), "--output-dir", str(out), *more]) == 0
    assert "test_f1_at_10" in json.loads(capsys.readouterr().out)
    signatures = json.loads((out / "signatures.json").read_text())
    assert signatures["f1_at_10"].endswith("|votes:3|seed:5|top_k:2|present_only:True")
    line = json.loads((out / "predictions.jsonl").read_text().splitlines()[0])
    assert len(line["scores"]) == len(line["prediction"]) and "generated" not in line


def test_what_predict_wrote_with_scores_is_scored_from_its_file(saved, tmp_path, capsys):
    rows, said = tmp_path / "rows.jsonl", tmp_path / "said.jsonl"
    rows.write_text('{"text": "Le budget.", "keyphrases": ["budget"]}\n' * 2)
    flags = ["--votes", "3", "--top-k", "2"]
    assert main(["predict", saved, "--file", str(rows), "--output", str(said), *flags]) == 0
    scored = []
    for what in ([saved, *flags], ["--predictions", str(said), "--task", saved]):
        out = ["--output-dir", str(tmp_path / f"scores{len(scored)}")]
        capsys.readouterr()
        assert main(["evaluate", *what, "--data", str(rows), *out]) == 0
        scored.append(json.loads(capsys.readouterr().out))
    shared = {*scored[0]} & {*scored[1]}
    assert "test_f1_at_10" in shared
    assert {n: scored[0][n] for n in shared} == {n: scored[1][n] for n in shared}


def test_f1_at_k_follows_the_ranks_of_the_votes(saved, tmp_path):
    ranked = frtune.load(saved).predict(["Le budget."], votes=5)[0]["keyphrases"]
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "Le budget.", "keyphrases": [ranked[0]]}) + "\n")
    scores = frtune.evaluate(saved, rows, votes=5)
    assert scores["test_f1_at_o"] == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"votes": 1}, "votes=1: at least 2 and at most 64"),
        ({"votes": 2, "num_beams": 2}, "num_beams=2 searches"),
        ({"seed": 3}, "seed=3: nothing is drawn"),
    ],
)
def test_what_does_not_go_together_is_refused(saved, options, message):
    with pytest.raises(InputError, match=message):
        frtune.load(saved, **options)
    with pytest.raises(InputError, match=message):
        frtune.load(saved).predict(["a"], **options)


def test_each_step_and_row_is_drawn_with_a_number_of_its_own():
    numbers = torch.tensor([[0.0, 0.6], [0.45, 1 - 2**-24]])
    draw = Draw(numbers, LogitsProcessorList())
    scores = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).log().expand(2, -1)
    picked = [draw(torch.zeros(2, 1), scores).argmax(-1).tolist() for _ in range(2)]
    assert picked == [[1, 1], [3, 3]]  # and never a token without probability


def test_numbers_hang_on_seed_and_prompt_and_not_on_how_many_votes():
    many, few = Votes(5, 1).numbers([3, 4], 6), Votes(2, 1).numbers([3, 4], 6)
    assert (many[:2] == few).all() and len({*many.flatten().tolist()}) == 30
    assert (few != Votes(2, 1).numbers([4, 3], 6)).all()
    assert (few != Votes(2, 2).numbers([3, 4], 6)).all()


def test_a_trainer_draws_what_a_predictor_draws(predictor, arguments):
    rows = datasets.Dataset.from_dict({"text": TEXTS, "keyphrases": [["budget"]] * len(TEXTS)})
    trainer = predictor.task.trainer(
        predictor.model, predictor.tokenizer, arguments(predictor.task, bf16=False),
        train_dataset=rows,
    )  # fmt: skip
    trainer.predict(rows, votes=4, seed=3)
    _, drawn = written(predictor, votes=Votes(4, 3))
    for row, other in zip(trainer.outputs, drawn, strict=True):
        assert [vote.ids for vote in row.votes] == [vote.ids for vote in other.votes]
    trainer.predict(rows, scores=True)
    assert all(row.log_probs is not None and not row.votes for row in trainer.outputs)
