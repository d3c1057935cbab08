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

from transformers import set_seed

import frtune

DEFAULTS = {
    "checkpoint": "tiny", "output_dir": "runs/invoices", "num_train_epochs": 3,
    "max_source_tokens": 128, "class_weights": "balanced",
}  # fmt: skip
WITHOUT = ["merge", "mixup", "resume", "generate", "early", "packing", "max_tokens"]


def main() -> None:
    """Train, test beside the baselines, and leave the model with each account's scores."""
    task, settings, args = frtune.parse_train_arguments(
        "classification", defaults=DEFAULTS, aliases={"--epochs": "num_train_epochs"},
        without=WITHOUT,
    )  # fmt: skip

    # 1. The data, with missing splits cut from train in the shares of the accounts; the task, with
    # the accounts of the training rows.
    data = frtune.read_data(task, settings, args)
    task, rows = data.task, data.splits
    if args.process_index == 0:
        print(*data.notes, f"{len(task.labels)} accounts: {', '.join(task.labels)}", sep="\n")

    # 2. Model and tokenizer. A decoder is large, so LoRA is its default.
    checkpoint = frtune.starting_checkpoint(data, settings, args)
    settings = frtune.with_lora(settings, task, checkpoint)
    lora = frtune.lora_config(
        r=settings.lora_r, alpha=settings.lora_alpha, dropout=settings.lora_dropout
    )
    set_seed(args.seed)  # the head is new
    model, tokenizer = frtune.build_model(
        task,
        checkpoint=checkpoint,
        family=settings.family,
        lora=lora if settings.lora else None,
        quantization=settings.quantization,
        gradient_checkpointing=bool(args.gradient_checkpointing),
        proof=settings.proof,
    )

    # 3. Train, keep the best checkpoint by macro F1, test it once.
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=rows["train"], eval_dataset=rows["validation"]
    )
    trainer.train()
    result = trainer.predict(rows["test"])
    frtune.save(trainer, args.output_dir, proof=settings.proof)

    # 4. Scores beside those of predictors without a model; each account alone, and a picture.
    if args.process_index == 0:
        references = task.references(rows["test"])
        found = {"this model": task.decode(result.predictions)}
        found |= task.baselines(rows["train"], rows["test"])
        print(f"{'':16}" + "".join(f"{name:>12}" for name in task.headline))
        for label, predictions in found.items():
            scores = task.compute_metrics(predictions, references)
            print(f"{label:16}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
        task.write_details(args.output_dir, found["this model"], references)
    frtune.leave()


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
