r"""Study what fine-tuning does to the hidden states of FlauBERT and CamemBERT.

    python examples/study_embeddings.py
    python examples/study_embeddings.py --data reviews/ --checkpoints hub --max-rows 1000

Each model is fine-tuned on a sentence classification as in train_classifier.py; a second run finds
it and goes on. Then all of them, as pre-trained and as fine-tuned, are studied on the test rows in
one report: OUTPUT_DIR/study/report.html. Without arguments the models are tiny and the rows are the
bundled invoice lines; the report then shows what a study looks like, and nothing about language.
"""

import argparse
from pathlib import Path

import frtune
from frtune.study import study
from frtune.study.findings import headlines
from frtune.study.report import write_report
from frtune.study.rows import read_rows
from frtune.training.distributed import leave
from train_classifier import checkpoint_of, train


def options() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="sample", help="file, folder or hub name")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--families", nargs="+", default=["flaubert", "camembert"])
    parser.add_argument(
        "--checkpoints", nargs="+", default=["tiny"],
        help="one a family: directory or hub name; 'tiny', or 'hub' for the family's own",
    )  # fmt: skip
    parser.add_argument("--output-dir", default="runs/study_embeddings")
    parser.add_argument("-n", "--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--max-train-rows", type=int, help="drawn with seed 42")
    parser.add_argument("--max-rows", type=int, help="of the study, drawn with seed 42")
    parser.add_argument("--batch-size", type=int, help="default: 16")
    parser.add_argument("--learning-rate", type=float, help="default: 2e-5, tiny models 1e-3")
    parser.add_argument("--max-source-tokens", type=int, default=512)
    return parser.parse_args()


def main() -> None:
    """Fine-tune each model, study all of them, and print what was found."""
    chosen = options()
    task = frtune.SequenceClassification(
        text_column=chosen.text_column,
        label_column=chosen.label_column,
        max_source_tokens=chosen.max_source_tokens,
    )
    data, notes = frtune.load_splits(
        chosen.data,
        task_name=task.name,
        max_train_rows=chosen.max_train_rows,
        stratify_by=chosen.label_column,
    )
    task = task.fit(data)
    print(*notes, sep="\n")

    checkpoints = {}
    for family in chosen.families:
        tuned = Path(chosen.output_dir) / family
        checkpoints[f"{family} raw"] = checkpoint_of(family, chosen, task, data["train"])
        checkpoints[f"{family} tuned"] = tuned
        if not (tuned / "frtune_task.json").exists():
            train(family, data, task, chosen)

    texts, labels = read_rows(
        data,
        text_column=chosen.text_column,
        label_column=chosen.label_column,
        max_rows=chosen.max_rows,
    )
    output = Path(chosen.output_dir) / "study"
    found = study(
        checkpoints,
        texts,
        labels,
        output_dir=output,
        max_tokens=chosen.max_source_tokens,
        progress="Study",
    )
    found.save(output)
    report = write_report(found, output)
    print(*headlines(found), sep="\n")
    print(f"report: {report}")
    leave()


if __name__ == "__main__":
    main()
