"""What scores need of a text, found in the background while the model writes the next ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from frtune.metrics.tokenizers import find_tokenizer

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from frtune.tasks.generated import Generated


@contextlib.contextmanager
def analysed_ahead(
    task: Any, rows: Dataset, tokenizer: PreTrainedTokenizerBase, device: torch.device
) -> Iterator[Callable[[Sequence[Generated]], Any] | None]:
    """Have the morphemes of references and generated lines at hand when ``rows`` are scored.

    Morphemes of Korean take most of the time of the scores. The analyser remembers them, so that
    ``task.score_outputs`` finds them. Nothing is done for other languages, whose words are split in
    no time, nor where the model needs the processor itself: it then takes as long either way.

    Args:
        task: A task that generates.
        rows: Encoded rows, with their references.
        tokenizer: The model's.
        device: Where the model is.

    Yields:
        ``each`` of ``generate``: to be called with what was generated for some of the rows.
        ``None`` where nothing is done.
    """
    if device.type == "cpu":
        yield None
        return
    references = task.references(rows, tokenizer)
    name = task._score_options(references)["tokenizer"]
    if name not in ("ko", "komoran"):
        yield None
        return
    analyse = find_tokenizer(name).tokenize_all

    def look_at(outputs: Sequence[Generated]) -> None:
        analyse([task.target(found) for found in task.decode([o.ids for o in outputs], tokenizer)])

    with ThreadPoolExecutor(1) as background:
        background.submit(analyse, [task.target(found) for found in references])
        yield lambda outputs: background.submit(look_at, outputs)
