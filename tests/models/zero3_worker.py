"""One rank of the ZeRO-3 test: build, train two steps, save, and report what it saw."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


def main(checkpoint: str, output: str, with_lora: str) -> None:
    import torch
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainingArguments

    from frtune import build_model, lora_config
    from tasks import Classify, Generate  # noqa: F401

    zero3 = {
        "zero_optimization": {
            "stage": 3,
            "stage3_gather_16bit_weights_on_model_save": True,
        },
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-2, "torch_adam": True}},
        "zero_force_ds_cpu_optimizer": False,
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
    }
    args = TrainingArguments(
        output_dir=f"{output}/run",
        deepspeed=zero3,
        use_cpu=True,
        max_steps=2,
        per_device_train_batch_size=2,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        learning_rate=1e-2,
        remove_unused_columns=False,
    )
    task = Generate()
    model, tokenizer = build_model(
        task, checkpoint=checkpoint, lora=lora_config(r=4) if with_lora == "lora" else None
    )
    before = snapshot(model)

    class Rows(Dataset):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            ids = tokenizer.convert_tokens_to_ids(list(task.new_tokens("decoder")))
            row = torch.tensor([ids[0], 20 + index, 21 + index, ids[1], 30 + index, ids[2]])
            return {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row}

    trainer = Trainer(model=model, args=args, train_dataset=Rows())
    trainer.train()
    trainer.save_model(f"{output}/saved")
    after = snapshot(trainer.accelerator.unwrap_model(trainer.model))
    probe = torch.tensor([[20, 21, 22, tokenizer.convert_tokens_to_ids("[end of generation]")]])
    trainer.model.eval()
    with torch.no_grad():
        logits = trainer.model(input_ids=probe).logits
    rank = int(os.environ["RANK"])
    if rank == 0:
        tokenizer.save_pretrained(f"{output}/saved")
        torch.save({"logits": logits, "probe": probe}, f"{output}/logits.pt")
    moved = sorted(name for name in after if not torch.equal(before[name], after[name]))
    report = {"moved": moved, "rows": model.config.vocab_size, "tokens": len(tokenizer)}
    Path(f"{output}/rank{rank}.json").write_text(json.dumps(report))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def snapshot(model):  # type: ignore[no-untyped-def]
    import deepspeed

    found = {}
    for name, parameter in model.named_parameters():
        with deepspeed.zero.GatheredParameters([parameter]):
            found[name] = parameter.detach().float().clone()
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
