"""Keyphrase generation, step by step, on one process or many.

    python examples/train_kpg.py
    torchrun --nproc-per-node 2 examples/train_kpg.py
    accelerate launch --num-processes 2 examples/train_kpg.py
    deepspeed --num_gpus 2 examples/train_kpg.py --deepspeed deepspeed_configs/zero2_offload.json

Without arguments it trains a tiny T5 on the bundled sample. For real work name a checkpoint and
data: ``--checkpoint paust/pko-t5-base --data articles/ --lora``. The flags are those of
``frtune train keyphrases``; ``--help`` shows them.
"""

import json

from transformers import EarlyStoppingCallback, set_seed

import frtune

DEFAULTS = {
    "checkpoint": "tiny", "output_dir": "runs/kpg", "num_train_epochs": 3,
    "per_device_train_batch_size": 8, "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,  # a share of all steps
}  # fmt: skip
ALIASES = {
    "--epochs": "num_train_epochs",
    "--batch-size": "per_device_train_batch_size",
    "--max-rows": ["max_train_rows", "max_eval_rows", "max_test_rows"],
}
WITHOUT = ["merge", "mixup", "resume", "generate"]


def main() -> None:
    """Train, keep the best checkpoint, test it, save it."""
    # 1. The task, data and checkpoint, and the training arguments. They come before the model:
    # ZeRO-3 splits it while it is loaded. The learning rate is that of a step of 8 rows.
    task, settings, args = frtune.parse_train_arguments(
        "keyphrases", defaults=DEFAULTS, aliases=ALIASES, without=WITHOUT
    )
    args.learning_rate = frtune.scale_learning_rate(args.learning_rate, per=8, args=args)

    # 2. The data, with missing splits cut from train; each row is checked.
    data = frtune.read_data(task, settings, args)

    # 3. Model and tokenizer: plain Transformers objects, with the adapter in place.
    checkpoint = frtune.starting_checkpoint(data, settings, args)
    lora = frtune.lora_config(
        r=settings.lora_r, alpha=settings.lora_alpha, dropout=settings.lora_dropout
    )
    set_seed(args.seed)  # an adapter is new
    model, tokenizer = frtune.build_model(
        data.task,
        checkpoint=checkpoint,
        family=settings.family,
        lora=lora if settings.lora else None,
        quantization=settings.quantization,
        gradient_checkpointing=bool(args.gradient_checkpointing),
        proof=settings.proof,
    )

    # 4. The trainer: a plain Seq2SeqTrainer, or a Trainer that can generate.
    patience = settings.early_stopping_patience
    trainer = data.task.trainer(
        model,
        tokenizer,
        args,
        train_dataset=data.splits["train"],
        eval_dataset=data.splits["validation"],
        max_tokens_per_batch=settings.max_tokens_per_batch,
        packing=settings.packing,
        callbacks=[EarlyStoppingCallback(patience)] if patience else [],
    )
    trainer.train()

    # 5. The best checkpoint, tested once with generation, and saved with a proof.
    metrics = trainer.predict(data.splits["test"]).metrics
    frtune.save(trainer, args.output_dir, proof=settings.proof)
    if args.process_index == 0:
        print(*data.notes, sep="\n")
        print(json.dumps({name: round(value, 4) for name, value in metrics.items()}, indent=2))
    frtune.leave()


if __name__ == "__main__":
    raise SystemExit(frtune.exit_code(main))
