r"""Does MixUp help? Train with it and without, for several seeds, and compare.

    python examples/train_mixup.py
    python examples/train_mixup.py --data rotten_tomatoes/ --levels embeddings sentence \
        --checkpoint google-bert/bert-base-cased --offline-rows 3500

Without arguments it trains tiny models on the bundled invoice lines. For a seed, all arms start
from the same weights, and those that mix batches read the rows in the same order. Nothing is
selected: the last weights of a fixed number of epochs are scored, on the split named test, or on
validation where there is none. Results are written to OUTPUT_DIR/results.json after each run; the
same command goes on where it stopped.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
import time
from pathlib import Path

from transformers import set_seed

import frtune
from frtune.models.families import kind_of
from frtune.run.seed_statistics import difference_of_runs, mean_of_runs
from frtune.training.encoding import encode_dataset
from frtune.training.mixup.mixup import LEVELS

SCORES = ("accuracy", "f1_macro")


def options() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="sample", help="file, folder or hub name")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--checkpoint", default="tiny", help="directory, hub name, or 'tiny'")
    parser.add_argument("--family", default="camembert", help="of the tiny checkpoint")
    parser.add_argument("--levels", nargs="+", default=["embeddings"], help=", ".join(LEVELS))
    parser.add_argument("--alpha", type=float, default=0.2)
    parser.add_argument("--layer", type=int, help="block to mix at, with --levels hidden")
    parser.add_argument(
        "--offline-rows", type=int, help="also train on so many rows mixed beforehand, per level"
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs of each arm")
    parser.add_argument("--epochs", "--num-train-epochs", type=float, help="3; of a tiny model 10")
    parser.add_argument("--batch-size", "--per-device-train-batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, help="2e-5; of a tiny model 1e-3")
    parser.add_argument("--max-train-rows", type=int, help="drawn with seed 42")
    parser.add_argument("--max-test-rows", type=int, help="drawn with seed 42")
    parser.add_argument("--max-source-tokens", type=int, default=128)
    parser.add_argument("--output-dir", default="runs/mixup")
    chosen = parser.parse_args()
    if chosen.epochs is None:
        chosen.epochs = 10 if chosen.checkpoint == "tiny" else 3
    return chosen


def arms_of(chosen: argparse.Namespace) -> dict[str, frtune.Mixup | None]:
    """What is compared, by name; all of it is checked before anything is trained."""
    arms: dict[str, frtune.Mixup | None] = {"none": None}
    for level in chosen.levels:
        layer = chosen.layer if level == "hidden" else None
        arms[level] = frtune.Mixup(level, alpha=chosen.alpha, layer=layer)
        if chosen.offline_rows is not None and level != "hidden":
            stored = dataclasses.replace(arms[level], rows=chosen.offline_rows)
            arms[f"{level}, {chosen.offline_rows} stored"] = stored
    if chosen.layer is not None and "hidden" not in chosen.levels:
        raise frtune.InputError("--layer: for --levels hidden. Add it, or leave --layer out.")
    if chosen.seeds < 2:
        raise frtune.InputError(f"--seeds {chosen.seeds}: an interval needs 2 or more.")
    return arms


def read(chosen: argparse.Namespace):
    """The task, the training rows and the rows that are scored."""
    task = frtune.SequenceClassification(
        text_column=chosen.text_column,
        label_column=chosen.label_column,
        max_source_tokens=chosen.max_source_tokens,
    )
    settings = {
        "task_name": task.name,
        "max_train_rows": chosen.max_train_rows,
        "max_eval_rows": chosen.max_test_rows,  # of a validation split that stands in for test
        "max_test_rows": chosen.max_test_rows,
        "stratify_by": chosen.label_column,
    }
    data, notes = frtune.load_splits(chosen.data, **settings, cut=False)
    if "test" not in data and "validation" not in data:
        data, notes = frtune.load_splits(chosen.data, **settings)
    name = "test" if "test" in data else "validation"
    task = task.fit(data)
    for split in ("train", name):
        task.check(data[split], f"{chosen.data}, {split}")
    print(*notes, f"{len(data['train'])} rows to train on, {len(data[name])} of {name} to score",
          sep="\n")  # fmt: skip
    return task, data["train"], data[name]


def checkpoint_of(chosen: argparse.Namespace, task, train) -> str:
    """The checkpoint; a tiny one is made from the training texts first."""
    if chosen.checkpoint != "tiny":
        return chosen.checkpoint
    directory = Path(chosen.output_dir) / f"tiny-{chosen.family}"
    if not directory.exists():
        frtune.tiny_checkpoint(chosen.family, task.corpus(train), directory)
    return str(directory)


def run(arm: str, mixup, seed: int, *, chosen, task, checkpoint: str, train, test) -> dict:
    """Train one model and score its last weights."""
    started = time.monotonic()
    set_seed(seed)  # the new head
    model, tokenizer = frtune.build_model(task, checkpoint=checkpoint, proof=False)
    args = frtune.training_arguments(
        task,
        str(Path(chosen.output_dir) / "run"),
        seed=seed,
        num_train_epochs=chosen.epochs,
        learning_rate=chosen.learning_rate or (1e-3 if chosen.checkpoint == "tiny" else 2e-5),
        per_device_train_batch_size=chosen.batch_size,
        per_device_eval_batch_size=32,
        weight_decay=0.01,
        warmup_steps=0.1,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
    )
    rows = {
        name: encode_dataset(rows, task, tokenizer, kind=kind_of(model))
        for name, rows in (("train", train), ("test", test))
    }
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows["train"], mixup=mixup)
    result = trainer.train()
    metrics = trainer.predict(rows["test"]).metrics
    return {
        "arm": arm,
        "seed": seed,
        **{name: metrics[f"test_{name}"] for name in SCORES},
        "test_loss": metrics["test_loss"],
        "train_loss": result.training_loss,
        "steps": result.global_step,
        "seconds": round(time.monotonic() - started, 1),
    }


def resumed(path: Path, settings: dict) -> list[dict]:
    """The runs that are done; results of other settings are refused."""
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["settings"] != settings:
        changed = [name for name in settings if found["settings"].get(name) != settings[name]]
        raise frtune.InputError(
            f"{path}: holds a comparison with another {', '.join(changed)}. "
            "Give another --output-dir, or remove the file."
        )
    return found["runs"]


def summary(runs: list[dict], arms: list[str]) -> dict[str, dict]:
    """Mean and interval of each arm, and its difference from the arm without MixUp."""
    found = {}
    for arm in arms:
        found[arm] = {}
        for name in SCORES:
            scores, plain = ({r["seed"]: r[name] for r in runs if r["arm"] == a}
                             for a in (arm, "none"))  # fmt: skip
            both = sorted(scores.keys() & plain.keys())
            if len(both) < 2:
                continue
            found[arm][name] = mean_of_runs(list(scores.values()))._asdict()
            if arm != "none":
                pairs = [[of[seed] for seed in both] for of in (scores, plain)]
                found[arm][f"{name}_difference"] = difference_of_runs(*pairs)._asdict()
    return found


def write(path: Path, content: dict) -> None:
    """Write the results whole, or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def table(found: dict[str, dict], seeds: int) -> str:
    """The results as a table in Markdown."""
    lines = [
        f"| MixUp | accuracy, mean of {seeds} | 95 % interval | difference | 95 % interval | p |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for arm, scores in found.items():
        mean = scores["accuracy"]
        line = f"| {arm} | {mean['mean']:.4f} | {mean['low']:.4f} to {mean['high']:.4f} |"
        if gain := scores.get("accuracy_difference"):
            line += f" {gain['mean']:+.4f} | {gain['low']:+.4f} to {gain['high']:+.4f} |"
            line += f" {gain['p_value']:.3f} |"
        else:
            line += " | | |"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Train every arm for every seed, and print the comparison."""
    chosen = options()
    arms = arms_of(chosen)
    task, train, test = read(chosen)
    output = Path(chosen.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "results.json"
    # more seeds or levels go on with a comparison; other settings are another one
    settings = {k: v for k, v in vars(chosen).items() if k not in ("seeds", "levels", "output_dir")}
    runs = resumed(path, settings)
    checkpoint = checkpoint_of(chosen, task, train)
    done = {(entry["arm"], entry["seed"]) for entry in runs}
    for seed in range(42, 42 + chosen.seeds):
        for arm, mixup in arms.items():
            if (arm, seed) in done:
                continue
            print(f"seed {seed}, MixUp: {arm}", flush=True)
            runs.append(
                run(arm, mixup, seed, chosen=chosen, task=task, checkpoint=checkpoint,
                    train=train, test=test)
            )  # fmt: skip
            print(f"accuracy {runs[-1]['accuracy']:.4f}, {runs[-1]['seconds']} s", flush=True)
            found = summary(runs, list(arms))
            write(path, {"settings": settings, "runs": runs, "summary": found})
    found = summary(runs, list(arms))
    write(path, {"settings": settings, "runs": runs, "summary": found})
    print(table(found, chosen.seeds))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    try:
        main()
    except frtune.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
