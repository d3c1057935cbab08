r"""Sort invoice lines into accounts, from a CSV file: CamemBERT, or Phi-2 with LoRA.

    python examples/train_invoices.py
    python examples/train_invoices.py --data lines.csv --text-column libelle --label-column compte \
        --checkpoint almanach/camembert-base
    python examples/train_invoices.py --data lines.csv --checkpoint microsoft/phi-2 --nf4

Accounts may be text or numbers; how many there are is found. Small ones count as much as big ones
(balanced class weights), the splits keep their shares, and long lines are counted before they are
cut. Without arguments a tiny CamemBERT learns the bundled lines; ``--family phi`` a tiny Phi.
The flags are those of ``frtune train classification``.
"""

from pathlib import Path

from transformers import AutoConfig

import frtune

DEFAULTS = {
    "checkpoint": "tiny", "family": "camembert", "output_dir": "runs/invoices",
    "num_train_epochs": 3, "max_source_tokens": 128, "class_weights": "balanced",
}  # fmt: skip
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing", "max_tokens"]
DECODERS = {"phi", "llama", "gpt_neox", "gptj"}


def main() -> None:
    """Train, test beside the baselines, and leave the model with each account's scores."""
    task, settings, args = frtune.parse_train_arguments(
        "classification", defaults=DEFAULTS, aliases={"--epochs": "num_train_epochs"},
        without=WITHOUT,
    )  # fmt: skip

    # 1. The data, with missing splits cut from train in the shares of the accounts.
    data, notes = frtune.load_splits(
        settings.data,
        task_name=task.name,
        encoding=settings.encoding,
        max_train_rows=settings.max_train_rows,
        max_eval_rows=settings.max_eval_rows,
        max_test_rows=settings.max_test_rows,
        stratify_by=task.label_column,
    )

    # 2. The task, with the accounts of the training rows.
    task = task.fit(data)
    print(*notes, f"{len(task.labels)} accounts: {', '.join(task.labels)}", sep="\n")

    # 3. Model and tokenizer. A decoder is large, so LoRA is its default.
    checkpoint = settings.checkpoint
    if checkpoint == "tiny":
        checkpoint = str(Path(args.output_dir) / "tiny")
        if not Path(checkpoint).exists():
            frtune.tiny_checkpoint(settings.family, task.corpus(data["train"]), checkpoint)
    lora = settings.lora
    if lora is None:
        lora = settings.nf4 or AutoConfig.from_pretrained(checkpoint).model_type in DECODERS
    model, tokenizer = frtune.build_model(
        task,
        checkpoint=checkpoint,
        lora=frtune.lora_config(r=settings.lora_r) if lora else None,
        quantization=settings.quantization,
        proof=settings.proof,
    )

    # 4. Train, keep the best checkpoint by macro F1, test it once.
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    result = trainer.predict(data["test"])
    frtune.save(trainer, args.output_dir, proof=settings.proof)

    # 5. Scores beside those of predictors without a model; each account alone, and a picture.
    if args.process_index == 0:
        references = task.references(data["test"])
        rows = {"this model": task.decode(result.predictions)}
        rows |= task.baselines(data["train"], data["test"])
        print(f"{'':16}" + "".join(f"{name:>12}" for name in task.headline))
        for label, predictions in rows.items():
            scores = task.compute_metrics(predictions, references)
            print(f"{label:16}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
        task.write_details(args.output_dir, rows["this model"], references)
    frtune.leave()


if __name__ == "__main__":
    main()
