"""Keyphrase generation, step by step, on one process or many.

    python examples/train_kpg.py
    torchrun --nproc-per-node 2 examples/train_kpg.py
    accelerate launch --num-processes 2 examples/train_kpg.py
    deepspeed --num_gpus 2 examples/train_kpg.py --deepspeed deepspeed_configs/zero2_offload.json

Without arguments it trains a tiny T5 on the bundled sample. For real work name a checkpoint and
data: ``--checkpoint paust/pko-t5-base --data articles/ --lora``.
"""

import argparse
import json
from pathlib import Path

from transformers import EarlyStoppingCallback

import frtune
from frtune.training.distributed import leave


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="sample", help="file, folder or hub name")
    parser.add_argument("--checkpoint", default="tiny", help="hub name, directory or 'tiny'")
    parser.add_argument("--family", default="t5", help="family of a tiny checkpoint")
    parser.add_argument("--title-column")
    parser.add_argument("--output-dir", default="runs/kpg")
    parser.add_argument("--deepspeed", help="one of deepspeed_configs/*.json")
    parser.add_argument("--lora", action="store_true", help="train an adapter")
    parser.add_argument("--int8", action="store_true", help="on an int8 base")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-steps", type=int, default=-1)
    parser.add_argument("--batch-size", type=int, default=8, help="rows a step and process")
    parser.add_argument("--max-source-tokens", type=int, default=1024)
    parser.add_argument("--max-rows", type=int, help="of each split")
    parser.add_argument("--local_rank", type=int, help=argparse.SUPPRESS)  # deepspeed passes it
    return parser.parse_args()


def main() -> None:
    chosen = options()

    # 1. The task: what a row is, and what the model learns from it.
    task = frtune.KeyphraseGeneration(
        title_column=chosen.title_column,
        separator="; ",
        max_source_tokens=chosen.max_source_tokens,
        max_target_tokens=64,
    )

    # 2. Training arguments. They come before the model: ZeRO-3 splits it while it is loaded.
    args = frtune.training_arguments(
        task,
        chosen.output_dir,
        num_train_epochs=chosen.epochs,
        max_steps=chosen.max_steps,
        per_device_train_batch_size=chosen.batch_size,
        deepspeed=chosen.deepspeed,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,  # a share of all steps
    )
    base = 3e-3 if chosen.checkpoint == "tiny" else 48e-6  # for a step of 8 rows
    args.learning_rate = frtune.scale_learning_rate(base, per=8, args=args)

    # 3. The data, with missing splits cut from train.
    rows = chosen.max_rows
    with args.main_process_first():
        data, notes = frtune.load_splits(
            chosen.data, max_train_rows=rows, max_eval_rows=rows, max_test_rows=rows
        )

    # 4. Model and tokenizer: plain Transformers objects, with the adapter in place.
    checkpoint = chosen.checkpoint
    if checkpoint == "tiny":
        checkpoint = str(Path(chosen.output_dir) / "tiny")
        with args.main_process_first(local=False):  # hosts share the output directory
            if not Path(checkpoint).exists():
                frtune.tiny_checkpoint(chosen.family, task.corpus(data["train"]), checkpoint)
    model, tokenizer = frtune.build_model(
        task,
        checkpoint=checkpoint,
        lora=frtune.lora_config(r=8) if chosen.lora else None,
        quantization="int8" if chosen.int8 else None,
    )

    # 5. The trainer: a plain Seq2SeqTrainer, or a Trainer that can generate.
    trainer = task.trainer(
        model,
        tokenizer,
        args,
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        callbacks=[EarlyStoppingCallback(early_stopping_patience=3)],
    )
    trainer.train()

    # 6. The best checkpoint, tested once with generation, and saved with a proof.
    metrics = trainer.predict(data["test"]).metrics
    frtune.save(trainer, chosen.output_dir)
    if args.process_index == 0:
        for note in notes:
            print(note)
        print(json.dumps({name: round(value, 4) for name, value in metrics.items()}, indent=2))
    leave()


if __name__ == "__main__":
    main()
