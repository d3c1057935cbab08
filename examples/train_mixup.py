r"""Does MixUp help? Train with it and without, for several seeds, and compare.

    python examples/train_mixup.py
    python examples/train_mixup.py --data rotten_tomatoes/ --levels embeddings sentence \
        --checkpoint google-bert/bert-base-cased --offline-rows 3500

Without arguments it trains tiny models on the bundled invoice lines. For a seed, all arms start
from the same weights, and those that mix batches read the rows in the same order. Nothing is
selected: the last weights of a fixed number of epochs are scored, on the split named test, or on
validation where there is none. Results are written to OUTPUT_DIR/results.json after each run; the
same command goes on where it stopped. The flags are those of ``frtune train classification``.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from transformers import set_seed

import frtune

DEFAULTS = {
    "checkpoint": "tiny", "output_dir": "runs/mixup", "max_source_tokens": 128,
    "per_device_train_batch_size": 16, "per_device_eval_batch_size": 32, "weight_decay": 0.01,
    "warmup_steps": 0.1, "eval_strategy": "no", "save_strategy": "no",
    "load_best_model_at_end": False,
}  # fmt: skip
ALIASES = {
    "--mixup-alpha": "alpha",
    "--mixup-layer": "layer",
    "--mixup-rows": "offline_rows",
    "--epochs": "num_train_epochs",
    "--batch-size": "per_device_train_batch_size",
}
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing", "max_tokens", "lora", "int8",
           "nf4", "proof", "max_eval"]  # fmt: skip
SCORES = ("accuracy", "f1_macro")
MAY_DIFFER = ("seed", "seeds", "levels", "output_dir")  # where a comparison goes on


@dataclass(frozen=True)
class Options:
    """Of this example alone.

    Attributes:
        levels: What is mixed, one or more: embeddings, hidden, sentence.
        alpha: Shares are drawn from Beta(alpha, alpha).
        layer: Block to mix at, with --levels hidden (default: drawn for each batch).
        offline_rows: Also train on so many rows mixed beforehand, per level.
        seeds: Runs of each arm, from --seed on.
    """

    levels: list[str] = field(default_factory=lambda: ["embeddings"])
    alpha: float = 0.2
    layer: int | None = None
    offline_rows: int | None = None
    seeds: int = 5

    def __post_init__(self):
        if self.layer is not None and "hidden" not in self.levels:
            raise frtune.InputError("--layer: for --levels hidden. Add it, or leave it out.")
        if self.seeds < 2:
            raise frtune.InputError(f"--seeds {self.seeds}: an interval needs 2 or more.")
        self.arms()  # refuses bad values

    def arms(self) -> dict[str, frtune.Mixup | None]:
        """What is compared, by name."""
        arms: dict[str, frtune.Mixup | None] = {"none": None}
        for level in self.levels:
            layer, alpha = self.layer if level == "hidden" else None, self.alpha
            arms[level] = frtune.Mixup(level, alpha, layer)
            if self.offline_rows is not None and level != "hidden":
                name = f"{level}, {self.offline_rows} stored"
                arms[name] = frtune.Mixup(level, alpha, rows=self.offline_rows)
        return arms


def run(data, checkpoint, settings, args, mixup, test) -> dict[str, float]:
    """Train one model and score its last weights."""
    started = time.monotonic()
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(
        data.task, checkpoint=checkpoint, family=settings.family, proof=False
    )
    trainer = data.task.trainer(
        model, tokenizer, args, train_dataset=data.splits["train"], mixup=mixup
    )
    result = trainer.train()
    metrics = trainer.predict(data.splits[test]).metrics
    scores = {name: metrics[f"test_{name}"] for name in (*SCORES, "loss")}
    seconds = round(time.monotonic() - started, 1)
    return {**scores, "train_loss": result.training_loss, "seconds": seconds}


def opened(path: Path, settings: dict) -> dict:
    """The results so far; those of other settings are refused."""
    if not path.exists():
        return {"settings": settings, "runs": []}
    found = json.loads(path.read_text(encoding="utf-8"))
    if changed := [name for name in settings if found["settings"].get(name) != settings[name]]:
        raise frtune.InputError(
            f"{path}: holds a comparison with another {', '.join(changed)}. "
            "Give another --output-dir, or remove the file."
        )
    return found


def write(path: Path, results: dict) -> None:
    """Write the results whole, or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)


def summary(runs: dict, arms: list[str], seeds: list[int]) -> dict[str, dict]:
    """Mean and interval of each arm, and its difference from the arm without MixUp."""
    found = {arm: {} for arm in arms}
    for arm in arms:
        for name in SCORES:
            scores, plain = ([runs[each, seed][name] for seed in seeds] for each in (arm, "none"))
            found[arm][name] = frtune.mean_of_runs(scores)._asdict()
            if arm != "none":
                gain = frtune.difference_of_runs(scores, plain)
                found[arm][f"{name}_difference"] = gain._asdict()
    return found


def show(found: dict[str, dict], seeds: int) -> None:
    """Print the accuracies as a table in Markdown."""
    print(f"| MixUp | accuracy, mean of {seeds} | 95 % interval | difference | 95 % interval | p |")
    print("| --- | --- | --- | --- | --- | --- |")
    for arm, scores in found.items():
        line = "| {} | {mean:.4f} | {low:.4f} to {high:.4f} |".format(arm, **scores["accuracy"])
        gain = " {mean:+.4f} | {low:+.4f} to {high:+.4f} | {p_value:.3f} |"
        difference = scores.get("accuracy_difference")
        print(line + (gain.format(**difference) if difference else " | | |"))


def main() -> None:
    """Train every arm for every seed, and print the comparison."""
    task, settings, args, own = frtune.parse_train_arguments(
        "classification", defaults=DEFAULTS, aliases=ALIASES, extra=Options, without=WITHOUT
    )
    # validation may stand in for test
    settings = replace(settings, max_eval_rows=settings.max_test_rows)
    same = {**asdict(task), **asdict(settings), **asdict(own), **args.to_dict()}
    same = {name: same[name] for name in same if name not in MAY_DIFFER}
    path = Path(args.output_dir) / "results.json"
    results = opened(path, json.loads(json.dumps(same)))

    data = frtune.read_data(task, settings, args, cut=False)
    if list(data.splits) == ["train"]:
        data = frtune.read_data(task, settings, args)
    test = "test" if "test" in data.splits else "validation"
    sizes = [f"{name}: {len(data.splits[name])} rows" for name in ("train", test)]
    print(*data.notes, *sizes, sep="\n")

    checkpoint = frtune.starting_checkpoint(data, settings, args)
    runs = {(each["arm"], each["seed"]): each for each in results["runs"]}
    arms, seeds = own.arms(), list(range(args.seed, args.seed + own.seeds))
    for args.seed in seeds:
        for arm, mixup in arms.items():
            if (arm, args.seed) in runs:
                continue
            scores = run(data, checkpoint, settings, args, mixup, test)
            runs[arm, args.seed] = {"arm": arm, "seed": args.seed, **scores}
            print(f"seed {args.seed}, MixUp: {arm}: accuracy {scores['accuracy']:.4f}", flush=True)
            write(path, results | {"runs": list(runs.values())})
    found = summary(runs, list(arms), seeds)
    write(path, results | {"runs": list(runs.values()), "summary": found})
    show(found, own.seeds)


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
