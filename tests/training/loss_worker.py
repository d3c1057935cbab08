"""One optimizer step of 2 processes x 2 rows x 2 accumulated; writes its loss and gradient norm."""

import json
import sys
from pathlib import Path

from datasets import Dataset
from test_loss_equality import one_step

from frtune import KeyphraseGeneration, training_arguments
from frtune.training.distributed import leave

if __name__ == "__main__":
    checkpoint, folder = sys.argv[1], Path(sys.argv[2])
    task = KeyphraseGeneration(max_source_tokens=64)
    rows = [json.loads(line) for line in (folder / "rows.jsonl").open(encoding="utf-8")]
    args = training_arguments(
        task,
        str(folder / "run2"),
        max_steps=1,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        max_grad_norm=1e9,
        bf16=False,
        disable_tqdm=True,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        logging_steps=1,
    )
    step = one_step(task, checkpoint, Dataset.from_list(rows), args)
    if args.process_index == 0:
        (folder / "step.json").write_text(json.dumps(step))
    leave()
