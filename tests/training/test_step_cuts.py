"""Steps cut by length: the rows, losses and gradients of plain ``Trainer``, with little padding."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from itertools import chain, combinations, islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cuts_worker import learnt
from transformers import AutoTokenizer, TrainingArguments

from frtune import (
    InputError,
    KeyphraseGeneration,
    KeywordExtraction,
    Mixup,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    lora_config,
)
from frtune.training.atomic_checkpoints import read_manifest
from frtune.training.batching import LengthBatches, TrainerSlots, uncut
from frtune.training.resume_checks import check_conditions
from frtune.training.step_cuts import StepCuts, cut, cuts_of

LENGTHS = random.Random(7).choices(range(1, 201), k=503)


def _cost(lengths, places, overhead):
    cuts = list(pairwise(places))
    return sum(lengths[start] * (end - start) + overhead for start, end in cuts)


@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize(("most", "overhead"), [(10**9, 32), (10**9, 1), (60, 8)])
def test_no_other_cuts_cost_less(most, overhead, least):
    draw = random.Random(most + overhead + least)
    for count in range(1, 9):
        lengths = sorted((draw.randint(1, 50) for _ in range(count)), reverse=True)

        def allowed(places, lengths=lengths, count=count):
            rows = [end - start for start, end in pairwise(places)]
            tokens = [lengths[start] * size for start, size in zip(places, rows, strict=False)]
            return all(
                size >= min(least, count) and (padded <= most or size < 2 * least)
                for size, padded in zip(rows, tokens, strict=True)
            )

        ways = [
            [0, *inner, count]
            for size in range(count)
            for inner in combinations(range(1, count), size)
        ]
        best = min(_cost(lengths, way, overhead) for way in ways if allowed(way))
        found = cut(lengths, most=most, overhead=overhead, least=least)
        assert allowed(found) and _cost(lengths, found, overhead) == best


def _slots(kind, processes):
    if kind == "by length":
        return LengthBatches(LENGTHS, batch_size=4, processes=processes)
    seed = 42 if kind == "random" else None
    return TrainerSlots(len(LENGTHS), batch_size=4, processes=processes, seed=seed)


@pytest.mark.parametrize("kind", ["random", "sequential", "by length"])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_step_has_the_rows_of_its_slots_in_equally_many_cuts_of_all_processes(kind, processes):
    slots, accumulation, most = _slots(kind, processes), 3, 400
    for epoch in (0, 1):
        shares = [
            list(
                StepCuts(
                    slots, LENGTHS, accumulation=accumulation, most=lambda: most,
                    processes=processes, process=i, epoch=lambda now=epoch: now,
                )
            )
            for i in range(processes)
        ]  # fmt: skip
        assert {len(share) for share in shares} == {len(slots)}
        expected = iter(slots(epoch))
        tokens = np.zeros(processes)
        for start in range(0, len(slots), accumulation):
            rows = sorted(chain(*map(list, islice(expected, accumulation))))
            steps = [share[start : start + accumulation] for share in shares]
            assert sorted(chain(*chain(*chain(*steps)))) == rows
            assert not any(chain(*(step[:-1] for step in steps))), "the last has all"
            assert len({len(step[-1]) for step in steps}) == 1
            for at_once in zip(*(step[-1] for step in steps), strict=True):
                padded = [len(rows) * max(LENGTHS[row] for row in rows) for rows in at_once]
                assert all(
                    size <= most or len(rows) == 1
                    for size, rows in zip(padded, at_once, strict=True)
                )
                tokens += padded
        assert tokens.max() < 1.01 * tokens.min()


@pytest.mark.parametrize(("name", "columns"), [
    ("en_rotten_tomatoes", ["text"]), ("fr_allocine", ["text"]),
    ("fr_stsb", ["sentence1", "sentence2"]),
])  # fmt: skip
def test_little_of_real_texts_is_padded(name, columns, shared, minilm):
    frame = pd.read_csv(shared / "data" / name / "train.csv").dropna().head(1600)
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    texts = [frame[column].tolist() for column in columns]
    ids = tokenizer(*texts, truncation=True, max_length=512)["input_ids"]
    lengths = [len(row) for row in ids]
    for rows, goal in ((32, 1.12), (16, 1.2)):
        slots = TrainerSlots(len(lengths), batch_size=rows, seed=42)
        batches = StepCuts(slots, lengths, most=lambda: 2048)
        padded = sum(
            len(cut) * max(lengths[row] for row in cut) for batch in batches for cut in batch
        )
        assert padded / sum(lengths) < goal


# --- trained -------------------------------------------------------------------------------------

TASKS = {
    "keyphrases t5": KeyphraseGeneration(max_source_tokens=64),
    "keyphrases t5 lora": KeyphraseGeneration(max_source_tokens=64),
    "keyphrases polyglot": KeyphraseGeneration(max_source_tokens=64),
    "keyphrases polyglot lora": KeyphraseGeneration(max_source_tokens=64),
    "classification bert": SequenceClassification(max_source_tokens=64),
    "several bert": SequenceClassification(max_source_tokens=64, multi_label=True),
    "classification polyglot": SequenceClassification(max_source_tokens=64),
    "similarity bert": SentenceSimilarity(max_source_tokens=64, head="regression"),
    "keywords bert": KeywordExtraction(max_source_tokens=64),
}


@pytest.fixture
def trainer(tiny, rows, arguments):
    """``trainer(task, family, max_tokens_per_batch=..., **arguments)``, without dropout.

    ``.seen`` lists the cuts of each batch, each with the numbers of its rows.
    """

    def make(task, family="bert", mixup=None, callbacks=(), compute_loss_func=None,
             max_tokens_per_batch=None, cut_steps=True, lora=None, **overrides):  # fmt: skip
        torch.manual_seed(0)
        checkpoint = str(tiny(family))
        model, tokenizer = build_model(task, checkpoint=checkpoint, lora=lora, proof=False)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        args = arguments(task, learning_rate=1e-3, max_grad_norm=1e9, **overrides)
        made = task.trainer(
            model, tokenizer, args, train_dataset=rows, mixup=mixup, cut_steps=cut_steps,
            max_tokens_per_batch=max_tokens_per_batch, compute_loss_func=compute_loss_func,
            proof=False,
        )  # fmt: skip
        made.seen, step, running = [], made.training_step, []

        def watched(model, inputs, items=None):
            if not running:  # not the cuts again
                made.seen.append([each["row"].tolist() for each in cuts_of(inputs)])
            running.append(True)
            try:
                return step(model, inputs, items)
            finally:
                running.pop()

        made.training_step = watched
        return made

    return make


def _learnt(made, accumulation):
    """Rows, loss and gradient norm of each step."""
    made.train()
    history = [entry for entry in made.state.log_history if "grad_norm" in entry]
    half = len(made.seen) // 2  # an epoch
    steps = [
        sorted(chain(*chain(*seen[start : start + accumulation])))
        for seen in (made.seen[:half], made.seen[half:])
        for start in range(0, half, accumulation)
    ]
    return steps, [(entry["loss"], entry["grad_norm"]) for entry in history]


@pytest.mark.parametrize("name", TASKS)
def test_steps_learn_what_those_of_plain_random_order_learn(name, trainer, rows):
    task, family, *lora = TASKS[name].fit(rows), *name.split()[1:]
    for size, accumulation, budget in ((3, 1, 20), (4, 1, None), (1, 3, 40), (2, 2, 1)):
        settings = {
            "per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation,
            "num_train_epochs": 2, "lora": lora_config(dropout=0.0) if lora else None,
        }  # fmt: skip
        plain = trainer(task, family, cut_steps=False, **settings)
        cut_up = trainer(task, family, max_tokens_per_batch=budget, **settings)
        theirs, ours = _learnt(plain, accumulation), _learnt(cut_up, accumulation)
        assert ours[0] == theirs[0], "other rows in a step"
        assert len(ours[0]) > 3 and max(map(len, ours[0])) == size * accumulation
        assert ours[1] == [pytest.approx(values, rel=1e-5) for values in theirs[1]]
        if budget == 1:
            assert max(len(rows) for batch in cut_up.seen for rows in batch) == 1
        assert cut_up.state.total_flos > 0


@pytest.mark.parametrize("strategy", ["random", "sequential", "group_by_length"])
@pytest.mark.parametrize("budget", [None, 40])
def test_a_run_resumed_within_its_second_epoch_goes_on_in_the_same_order(
    strategy, budget, trainer, rows
):
    task = SequenceClassification(max_source_tokens=64).fit(rows)
    settings = {
        "num_train_epochs": 3, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 2,
        "train_sampling_strategy": strategy, "max_tokens_per_batch": budget,
        "include_num_input_tokens_seen": "non_padding",
    }  # fmt: skip
    whole = trainer(task, **settings, save_strategy="steps", save_steps=1, save_total_limit=99)
    whole.train()
    epochs = {str(whole.seen[i : i + 8]) for i in (0, 8, 16)}
    assert len(whole.seen) == 24 and len(epochs) == (1 if strategy == "sequential" else 3)
    resumed = trainer(task, **{**settings, "max_tokens_per_batch": budget})
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-5")
    assert resumed.seen == whole.seen[10:]
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert resumed.state.num_input_tokens_seen == whole.state.num_input_tokens_seen
    tokens = sum(len(row) for row in whole.train_dataset["input_ids"])
    assert whole.state.num_input_tokens_seen == 3 * tokens


def test_a_run_of_an_earlier_version_whose_budget_chose_the_rows_is_refused(trainer, rows):
    task = SequenceClassification(max_source_tokens=64).fit(rows)
    made = trainer(task, save_strategy="steps", save_steps=1, max_steps=1)
    made.train()
    checkpoint = f"{made.args.output_dir}/checkpoint-1"
    manifest = read_manifest(Path(checkpoint))
    theirs = {**manifest["conditions"], "max_tokens_per_batch": 40}
    with pytest.raises(InputError, match="an earlier version, whose max_tokens_per_batch chose"):
        check_conditions(made.conditions(), theirs, Path(checkpoint))


def test_rows_are_mixed_with_others_of_their_cut(trainer, rows):
    task = SequenceClassification(max_source_tokens=64).fit(rows)
    made = trainer(task, mixup=Mixup(), per_device_train_batch_size=5, max_tokens_per_batch=1)
    made.train()
    sizes = [len(cut) for batch in made.seen for cut in batch]
    assert min(sizes) >= 2 and len(sizes) > len(made.seen)


def test_a_budget_that_cannot_be_kept_is_refused(trainer, rows):
    task = SequenceClassification(max_source_tokens=64).fit(rows)
    for settings, message in (
        ({"max_tokens_per_batch": 0}, "max_tokens_per_batch=0: at least 1"),
        ({"train_sampling_strategy": "batch_rebalance"}, "not with train_sampling_strategy=batch"),
        ({"torch_compile": True}, "not with torch_compile=True"),
        ({"accelerator_config": {"split_batches": True}}, "accelerator_config split_batches=True"),
        ({"accelerator_config": {"use_seedable_sampler": False}}, "use_seedable_sampler=False"),
        ({"train_sampling_strategy": "group_by_length", "dataloader_drop_last": True},
         "dataloader_drop_last"),
        ({"cut_steps": False}, "not with cut_steps=False"),
        ({"compute_loss_func": lambda outputs, labels, **_: 0}, "not with compute_loss_func"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            trainer(task, **{"max_tokens_per_batch": 40, **settings})


@pytest.mark.parametrize("optim", ["lomo", "adalomo", "galore_adamw_layerwise"])
def test_an_optimizer_that_steps_in_the_backward_pass_gets_whole_batches(optim, tmp_path):
    assert uncut(TrainingArguments(str(tmp_path), optim=optim)) == f"optim={optim}"
    assert uncut(TrainingArguments(str(tmp_path), optim="adafactor")) is None


def test_a_loss_of_the_users_own_gets_the_batches_of_trainer(trainer, rows):
    task = SequenceClassification(max_source_tokens=64).fit(rows)
    given = []

    def mean(outputs, labels, num_items_in_batch=None):
        given.append(len(labels))
        return torch.nn.functional.cross_entropy(outputs["logits"], labels)

    made = trainer(task, compute_loss_func=mean, per_device_train_batch_size=4, num_train_epochs=1)
    made.train()
    assert given == [4, 4]


@pytest.mark.distributed
@pytest.mark.parametrize("sharding", ["ddp", "zero2", "zero3"])
def test_two_processes_learn_what_those_of_plain_random_order_learn(sharding, launched):
    ranks = [json.loads((launched / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    plain, cut_up = ([found[f"{sharding} {name}"] for found in ranks] for name in ("plain", "cut"))
    rows = [
        [sorted(chain(*first, *second)) for first, second in zip(*seen, strict=True)]
        for seen in ([found["seen"] for found in way] for way in (plain, cut_up))
    ]
    assert rows[0] == rows[1] and list(map(len, rows[0])) == [8, 8]
    assert max(len(cuts) for cuts in cut_up[0]["seen"]) > 2, "no step was cut"
    for first, second in zip(cut_up[0]["seen"], cut_up[1]["seen"], strict=True):
        assert len(first) == len(second)
    assert cut_up[0]["learnt"] == [pytest.approx(values, rel=1e-5) for values in plain[0]["learnt"]]


@pytest.mark.distributed
@pytest.mark.parametrize("sharding", ["ddp", "zero2", "zero3"])
def test_two_processes_learn_several_labels_a_row_as_one_does(sharding, launched, tiny, tmp_path):
    one = learnt(str(tiny("bert")), str(tmp_path), "ddp", several=True, cut_steps=False)
    for rank in (0, 1):
        two = json.loads((launched / f"rank{rank}.json").read_text())[f"{sharding} several"]
        assert two["learnt"] == [pytest.approx(values, rel=1e-4) for values in one["learnt"]]


@pytest.mark.distributed
def test_memory_that_runs_out_in_one_of_two_processes_cuts_the_steps_of_both(launched):
    ranks = [json.loads((launched / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    plain, short = ranks[0]["ddp plain"], [found["ddp short"] for found in ranks]
    assert short[0]["learnt"] == [pytest.approx(values, rel=1e-5) for values in plain["learnt"]]
    assert short[0]["cut_tokens"] == short[1]["cut_tokens"] < 20
    for name in ("ddp full", "zero2 full"):
        for found in ranks:
            assert re.search(r"Try --max-tokens-per-batch \d+ \(the same", found[name]["problem"])


@pytest.fixture(scope="module")
def launched(tiny, tmp_path_factory):
    """Where two processes wrote what they learnt, with steps cut and not."""
    folder, tests = tmp_path_factory.mktemp("cuts"), Path(__file__).parents[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(Path(__file__).with_name("cuts_worker.py")), str(tiny("bert")), str(folder),
    ]  # fmt: skip
    paths = [str(tests), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder
