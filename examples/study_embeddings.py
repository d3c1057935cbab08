r"""Study what fine-tuning does to the hidden states of FlauBERT and CamemBERT.

    python examples/study_embeddings.py
    python examples/study_embeddings.py --data reviews/ --checkpoints hub --max-rows 1000

Each model is fine-tuned on a sentence classification as in train_classifier.py; a second run finds
it and goes on. Then all of them, as pre-trained and as fine-tuned, are studied on the test rows in
one report: OUTPUT_DIR/study/report.html. Without arguments the models are tiny and the rows are the
bundled invoice lines; the report then shows what a study looks like, and nothing about language.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import frtune
from frtune.study import study
from frtune.study.findings import headlines
from frtune.study.report import write_report
from frtune.study.rows import read_rows
from train_classifier import DEFAULTS, Options, arguments, checkpoint_of, parse, train


@dataclass(frozen=True)
class StudyOptions(Options):
    """Of this example alone.

    Attributes:
        families: The encoders to study.
        checkpoints: One a family: directory or hub name; 'tiny', or 'hub' for the family's own.
        max_rows: Rows of the study, drawn with seed 42.
    """

    families: list[str] = field(default_factory=lambda: ["flaubert", "camembert"])
    max_rows: int | None = None


def main() -> None:
    """Fine-tune each model, study all of them, and print what was found."""
    read = partial(
        parse, defaults={**DEFAULTS, "output_dir": "runs/study_embeddings"}, extra=StudyOptions
    )
    task, settings, args, own = read()
    output_dir = Path(args.output_dir)
    data, notes = frtune.load_splits(
        settings.data,
        task_name=task.name,
        encoding=settings.encoding,
        max_train_rows=settings.max_train_rows,
        max_eval_rows=settings.max_eval_rows,
        max_test_rows=settings.max_test_rows,
        stratify_by=task.label_column,
    )
    task = task.fit(data)
    print(*notes, sep="\n")

    checkpoints = {}
    for family in own.families:
        tuned = output_dir / family
        raw = checkpoint_of(family, own, output_dir, task, data["train"])
        checkpoints |= {f"{family} raw": raw, f"{family} tuned": tuned}
        if not (tuned / "frtune_task.json").exists():
            train(family, raw, data, task, arguments(family, raw, output_dir, read))

    texts, labels = read_rows(
        data,
        text_column=task.text_column,
        label_column=task.label_column,
        max_rows=own.max_rows,
    )
    output = output_dir / "study"
    found = study(
        checkpoints,
        texts,
        labels,
        output_dir=output,
        max_tokens=task.max_source_tokens,
        progress="Study",
    )
    found.save(output)
    report = write_report(found, output)
    print(*headlines(found), sep="\n")
    print(f"report: {report}")
    frtune.leave()


if __name__ == "__main__":
    main()
