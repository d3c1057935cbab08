r"""Sort invoice lines into accounts, from a CSV file: CamemBERT, or Phi-2 with LoRA.

    python examples/train_invoices.py
    python examples/train_invoices.py --data lines.csv --text-column libelle --label-column compte \
        --checkpoint almanach/camembert-base
    python examples/train_invoices.py --data lines.csv --checkpoint microsoft/phi-2 --nf4

Accounts may be text or numbers; how many there are is found. Small ones count as much as big ones
(balanced class weights), the splits keep their shares, and long lines are counted before they are
cut. Without arguments a tiny CamemBERT learns the bundled lines; ``--family phi`` a tiny Phi.
"""

import argparse
from pathlib import Path

import frtune
from frtune.models.families import FAMILIES, family_for
from frtune.training.distributed import leave


def options() -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="sample", help="CSV file, folder or hub name")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--checkpoint", default="tiny", help="hub name, directory or 'tiny'")
    parser.add_argument("--family", default="camembert", help="family of a tiny checkpoint")
    parser.add_argument("--lora", action=argparse.BooleanOptionalAction, help="default: decoders")
    parser.add_argument("--nf4", action="store_true", help="on a 4-bit base (with LoRA)")
    parser.add_argument("--output-dir", default="runs/invoices")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--max-source-tokens", type=int, default=128)
    return parser.parse_args()


def kind_and_checkpoint(chosen: argparse.Namespace, task, train) -> tuple[str, str]:
    """Kind and place of the checkpoint; a tiny one is made from the training lines first."""
    if chosen.checkpoint != "tiny":
        from transformers import AutoConfig

        model_type = AutoConfig.from_pretrained(chosen.checkpoint).model_type
        return family_for(model_type).kind, chosen.checkpoint
    directory = Path(chosen.output_dir) / "tiny"
    if not directory.exists():
        frtune.tiny_checkpoint(chosen.family, task.corpus(train), directory)
    return FAMILIES[chosen.family].kind, str(directory)


def main() -> None:
    """Train, test beside the baselines, and leave the model with each account's scores."""
    chosen = options()

    # 1. The data, with missing splits cut from train in the shares of the accounts.
    data, notes = frtune.load_splits(
        chosen.data, task_name="classification", stratify_by=chosen.label_column
    )

    # 2. The task, with the accounts of the training rows.
    task = frtune.SequenceClassification(
        text_column=chosen.text_column,
        label_column=chosen.label_column,
        max_source_tokens=chosen.max_source_tokens,
        class_weights="balanced",
    ).fit(data)
    print(*notes, f"{len(task.labels)} accounts: {', '.join(task.labels)}", sep="\n")

    # 3. Model and tokenizer. A decoder is large, so LoRA is its default.
    args = frtune.training_arguments(
        task,
        chosen.output_dir,
        tiny=chosen.checkpoint == "tiny",
        num_train_epochs=chosen.epochs,
        max_steps=chosen.max_steps,
    )
    kind, checkpoint = kind_and_checkpoint(chosen, task, data["train"])
    lora = kind == "decoder" if chosen.lora is None else chosen.lora
    model, tokenizer = frtune.build_model(
        task,
        checkpoint=checkpoint,
        lora=frtune.lora_config(r=8) if lora or chosen.nf4 else None,
        quantization="nf4" if chosen.nf4 else None,
    )

    # 4. Train, keep the best checkpoint by macro F1, test it once.
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data["train"], eval_dataset=data["validation"]
    )
    trainer.train()
    result = trainer.predict(data["test"])
    frtune.save(trainer, chosen.output_dir)

    # 5. Scores beside those of predictors without a model; each account alone, and a picture.
    if args.process_index == 0:
        references = task.references(data["test"])
        rows = {"this model": task.decode(result.predictions)}
        rows |= task.baselines(data["train"], data["test"])
        print(f"{'':16}" + "".join(f"{name:>12}" for name in task.headline))
        for label, predictions in rows.items():
            scores = task.compute_metrics(predictions, references)
            print(f"{label:16}" + "".join(f"{scores[name]:12.4f}" for name in task.headline))
        task.write_details(chosen.output_dir, rows["this model"], references)
    leave()


if __name__ == "__main__":
    main()
