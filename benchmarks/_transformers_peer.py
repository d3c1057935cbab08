"""Answer for one text with Transformers alone: what a short script does.

python benchmarks/_transformers_peer.py TASK DIRECTORY TEXT [SECOND TEXT]
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

AUTO = {
    "classification": AutoModelForSequenceClassification,
    "similarity": AutoModelForSequenceClassification,
    "keywords": AutoModelForTokenClassification,
    "keyphrases": AutoModelForSeq2SeqLM,
}


def main(task: str, directory: str, *texts: str) -> None:
    """Print the chances of the classes, the tokens' classes, or what the model writes."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AUTO[task].from_pretrained(directory)
    inputs = tokenizer(*texts, truncation=True, return_tensors="pt")
    with torch.no_grad():
        if task == "keyphrases":
            ids = model.generate(**inputs, max_new_tokens=64, do_sample=False)[0]
            answer = tokenizer.decode(ids, skip_special_tokens=True)
        elif task == "keywords":
            chances = model(**inputs).logits[0].softmax(-1)
            answer = [round(float(value), 4) for value in chances.max(-1).values]
        else:
            answer = model(**inputs).logits[0].softmax(-1).tolist()
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
