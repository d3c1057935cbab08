"""The lines of the model card, run by themselves from another folder, answer as frtune does."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

import frtune
from chat_templates import chat_checkpoint
from conftest import CORPUS
from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    lora_config,
    training_arguments,
)
from frtune.inference import Predictor
from frtune.model_cards.checked import Examples, checked
from frtune.model_cards.sections import remarks_for, sections_for
from frtune.models.families import family_named
from kinds import DECODERS, ENCODERS, SEQ2SEQ

pytestmark = pytest.mark.slow  # half a minute

TEXT, OTHER = CORPUS[0], CORPUS[3]
CLASSES = SequenceClassification(labels=["bad", "fair", "good"], max_source_tokens=64)
SAME = SentenceSimilarity(labels=["no", "yes"], max_source_tokens=64)
SCORED = SentenceSimilarity(head="regression", max_source_tokens=64, symmetric=True)
PHRASES = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=12)
CHAT = KeyphraseGeneration(prompt="chat", max_source_tokens=128, max_target_tokens=12)
KEYWORDS = KeywordExtraction(subwords="all", max_source_tokens=64)
BY_WORD = KeywordExtraction(max_source_tokens=64)
THRESHOLD = KeywordExtraction(max_source_tokens=64, threshold=0.4)
COOLED = replace(CLASSES, temperature=2.5)
SURE = replace(CLASSES, temperature=0.5, min_precision=0.9, least_scores=[0.99])
TREE = SequenceClassification(
    labels=["a1", "a2", "b1"], label_tree="prefix:1", max_source_tokens=64
)
SEVERAL = SequenceClassification(multi_label=True, labels=["x", "y", "it's \"z\""], temperature=1.7,
                                 thresholds=[0.2, 0.5, 0.1], max_source_tokens=64)  # fmt: skip
TITLED = KeyphraseGeneration(title_column="title", max_source_tokens=64, max_target_tokens=12)

# in it frtune cannot be imported, however it is installed
PROGRAM = """
import importlib.abc, json, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "frtune":
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
try:
    import frtune
except ImportError:
    pass
else:
    raise SystemExit("frtune is here")
found = []
for code in json.load(open(sys.argv[1])):
    said = []
    exec(code, {"print": said.append})
    found.append(said)
json.dump(found, open(sys.argv[2], "w"), default=float)
"""


class Case(NamedTuple):
    task: object
    family: str
    lora: bool
    merge: bool = False
    inside: bool = True  # the base stands in the model directory, as tiny does
    nf4: bool = False
    half: bool = False  # the base is in bf16

    @property
    def name(self):
        how = "lora" if self.lora else "full"
        number = [repr(case.task) for case in CASES].index(repr(self.task))
        flags = "".join(str(int(flag)) for flag in self[3:])
        return f"{self.task.name}{number}-{self.family}-{how}-{flags}"

    @property
    def is_cross_encoder(self):
        return not self.lora and bool(self.task.cross_encoder_lines(family_named(self.family).kind))


CASES = [
    *(Case(KEYWORDS, family, lora=True) for family in ENCODERS if family != "flaubert"),
    *(Case(CLASSES, family, lora=True) for family in DECODERS),  # they pad in several ways
    *(Case(PHRASES, family, lora=True, merge=True) for family in DECODERS),
    *(Case(PHRASES, family, lora=lora) for family in SEQ2SEQ for lora in (False, True)),
    Case(PHRASES, "llama", lora=False),
    Case(CHAT, "llama", lora=False),
    Case(CHAT, "gptj", lora=True, merge=True),
    Case(CLASSES, "camembert", lora=False),
    Case(CLASSES, "flaubert", lora=True),
    Case(CLASSES, "bert", lora=True, merge=True, inside=False),
    Case(SAME, "bert", lora=True, inside=False),
    Case(SCORED, "camembert", lora=False),
    Case(KEYWORDS, "camembert", lora=False),
    *(Case(BY_WORD, family, lora=False) for family in ("bert", "camembert", "xlm_roberta")),
    Case(THRESHOLD, "camembert", lora=True),
    Case(COOLED, "camembert", lora=False),
    Case(SURE, "bert", lora=True),
    Case(TREE, "bert", lora=False),
    Case(SEVERAL, "camembert", lora=False),
    Case(SEVERAL, "gpt_neox", lora=True),
    Case(SAME, "camembert", lora=False),
    Case(replace(SAME, symmetric=True), "llama", lora=True),
    Case(SCORED, "gpt_neox", lora=False),
    Case(TITLED, "t5", lora=False),
    Case(CLASSES, "bert", lora=True, nf4=True),
    Case(PHRASES, "llama", lora=True, nf4=True),
    Case(CLASSES, "bert", lora=True, half=True),
    Case(PHRASES, "t5", lora=True, half=True),
]


def save(case, tiny, folder):
    """Save a model that is far from its base, with the card's section as README.md."""
    checkpoint = tiny(case.family)
    if case.inside:
        chat = getattr(case.task, "prompt", "") == "chat"
        make = partial(chat_checkpoint, name="gemma") if chat else shutil.copytree
        checkpoint = make(checkpoint, folder / "tiny")
    lora = lora_config() if case.lora else None
    if case.half:
        for file in checkpoint.glob("*.safetensors"):
            found = {name: weight.bfloat16() for name, weight in load_file(file).items()}
            save_file(found, file, {"format": "pt"})
        config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        (checkpoint / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}), "utf-8")
    model, tokenizer = build_model(
        case.task, checkpoint=checkpoint, lora=lora, proof=False,
        quantization="nf4" if case.nf4 else None,
    )  # fmt: skip
    for seed in range(20):
        torch.manual_seed(seed)
        with torch.no_grad():
            for weight in (p for p in model.parameters() if p.requires_grad):
                weight.add_(0.1 * torch.randn_like(weight))
        if says_something(case.task, model, tokenizer):
            break
    args = training_arguments(case.task, str(folder), bf16=False, eval_strategy="no",
                              load_best_model_at_end=False)  # fmt: skip
    trainer = case.task.trainer(model, tokenizer, args)
    frtune.save(trainer, folder, proof=False, merge=case.merge)
    sections = sections_for(case.task, model, tokenizer, directory=folder, merged=case.merge)
    examples = Examples([row_of(case.task)], "a text of a test row")
    text = checked(sections, case.task, examples, directory=folder, name=folder.name)
    said = "\n".join([text, *remarks_for(model, merged=case.merge)])
    (folder / "README.md").write_text(said, "utf-8")


def row_of(task):
    return dict(zip(task.text_columns, (TEXT, OTHER), strict=False))


def says_something(task, model, tokenizer):
    (answer,) = Predictor(task, model.eval(), tokenizer).predict([row_of(task)])
    return answer.get(task.answer_key) not in ([], None)


def blocks(folder):
    """The card's programs."""
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.S)


@pytest.fixture(scope="module")
def answered(tiny, tmp_path_factory):
    """For each case what the card's programs printed, run in the folder that holds the models."""
    made = tmp_path_factory.mktemp("made")
    for case in CASES:
        save(case, tiny, made / case.name)
    moved = made.rename(made.parent / "moved")
    codes = {case.name: blocks(moved / case.name) for case in CASES}
    (moved / "codes.json").write_text(
        json.dumps([code for found in codes.values() for code in found]), "utf-8"
    )
    packages = Path(torch.__file__).parents[1]  # no .pth file is read there
    python = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [python, "-c", PROGRAM, "codes.json", "said.json"],
        cwd=moved,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = iter(json.loads((moved / "said.json").read_text("utf-8")))
    return moved, {name: [next(said) for _ in found] for name, found in codes.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_lines_of_the_card_answer_as_frtune_does(answered, case):
    folder, said = answered
    card = (folder / case.name / "README.md").read_text("utf-8")
    (ours,) = frtune.load(folder / case.name, bf16=False, device="cpu").predict([row_of(case.task)])
    expected = case.merge + ("bias" not in card) if case.lora else 1 + case.is_cross_encoder
    assert len(said[case.name]) == expected > 0
    for (theirs,) in said[case.name]:
        assert case.task.is_same_answer(theirs, ours), (theirs, ours)
    assert card.count("They print what `frtune predict` answers") == expected
    assert "These lines" not in card


def test_an_answer_that_is_another_is_none():
    """What the cards are compared by does not let everything pass."""
    good = {"label": "good", "score": 0.7, "scores": {"good": 0.7, "bad": 0.3}}
    assert CLASSES.is_same_answer({"label": "good", "score": 0.7001}, good)
    assert not CLASSES.is_same_answer({"label": "good", "score": 0.72}, good)
    assert not CLASSES.is_same_answer({"label": "bad", "score": 0.7}, good)
    assert SCORED.is_same_answer({"similarity": 3.2}, {"similarity": 3.2001})
    assert not SCORED.is_same_answer({"similarity": 3.3}, {"similarity": 3.2})
    found = {"keywords": [{"text": "a b", "start": 1, "end": 4, "score": 0.5}]}
    assert KEYWORDS.is_same_answer([{"text": "a b", "score": 0.5}], found)
    assert not KEYWORDS.is_same_answer([{"text": "a", "score": 0.5}], found)
    assert not KEYWORDS.is_same_answer([], found)
    assert PHRASES.is_same_answer("a b; c", {"keyphrases": ["a b", "c"]})
    assert not PHRASES.is_same_answer("a b", {"keyphrases": ["a b", "c"]})
    limits = {"labels": ["x"], "scores": {"x": 0.6, "y": 0.4}}
    assert SEVERAL.is_same_answer({"x": 0.6}, limits)
    assert not SEVERAL.is_same_answer({"x": 0.6, "y": 0.4}, limits)
