r"""Study what fine-tuning does to the hidden states of FlauBERT and CamemBERT.

    python examples/study_embeddings.py
    python examples/study_embeddings.py --data reviews/ --checkpoints hub --max-rows 1000

Each model is fine-tuned on a sentence classification as in train_classifier.py; a second run finds
it and goes on. Then all of them, as pre-trained and as fine-tuned, are studied on the test rows in
one report: OUTPUT_DIR/study/report.html. Without arguments the models are tiny and the rows are the
bundled invoice lines; the report then shows what a study looks like, and nothing about language.
"""

from dataclasses import dataclass, field
from pathlib import Path

import frtune
from frtune.study import headlines, read_rows, study, write_report
from train_classifier import DEFAULTS, Options, parse, train

OWN = {**DEFAULTS, "output_dir": "runs/study_embeddings"}


@dataclass(frozen=True)
class StudyOptions(Options):
    """Of this example alone.

    Attributes:
        families: The encoders to study: bert, camembert, flaubert.
        checkpoints: One for all, or one a family: directory or hub name; 'tiny', or 'hub' for the
            family's own.
        max_rows: Rows of the study, drawn with seed 42.
    """

    families: list[str] = field(default_factory=lambda: ["flaubert", "camembert"])
    max_rows: int | None = None


def main() -> None:
    """Fine-tune each model, study all of them, and print what was found."""
    task, settings, args, own = parse(defaults=OWN, extra=StudyOptions)
    output = Path(args.output_dir)
    data = frtune.read_data(task, settings, args)
    print(*data.notes, sep="\n")

    checkpoints = {}
    for model in own.models:
        _, settings, args, _ = parse(defaults=OWN | model, extra=StudyOptions)
        tuned = output / model["family"]
        args.output_dir = str(tuned)
        checkpoints[f"{tuned.name} raw"] = frtune.starting_checkpoint(data, settings, args)
        checkpoints[f"{tuned.name} tuned"] = tuned
        if not (tuned / "frtune_task.json").exists():
            train(data, settings, args)

    texts, labels = read_rows(
        data.splits,
        text_column=task.text_column,
        label_column=task.label_column,
        max_rows=own.max_rows,
    )
    found = study(
        checkpoints,
        texts,
        labels,
        output_dir=output / "study",
        max_tokens=task.max_source_tokens,
        progress="Study",
    )
    found.save(output / "study")
    report = write_report(found, output / "study")
    print(*headlines(found), f"report: {report}", sep="\n")
    frtune.leave()


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
