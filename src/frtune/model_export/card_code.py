"""Lines of Python that open a graph with ONNX Runtime, NumPy and a tokenizer, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frtune.inference import Predictor
from frtune.model_export.greedy import Ends


def code_lines(
    predictor: Predictor, graphs: Sequence[str], texts: Sequence[str], *, ends: Ends | None,
    published: bool,
) -> list[str]:  # fmt: skip
    """Lines that print the answer to one text, or to a pair.

    They are for the folder that the directory of the graphs lies in: a ``Section`` completes the
    line ``directory =`` with its place.

    Args:
        predictor: The model in PyTorch.
        graphs: Files of the graphs.
        texts: The text, or both of a pair, as the tokenizer gets them.
        ends: What begins and ends a text that is written; ``None`` where none is.
        published: Whether ``tokenizer.json`` reads texts as frtune does; else Transformers opens
            the tokenizer.
    """
    lines = ["import numpy as np", "import onnxruntime"]
    lines += ["from tokenizers import Tokenizer" if published
              else "from transformers import AutoTokenizer", "", "directory ="]  # fmt: skip
    limit = predictor.task.max_source_tokens
    if published:
        lines += ['tokenizer = Tokenizer.from_file(directory + "/tokenizer.json")',
                  f"tokenizer.enable_truncation({limit})"]  # fmt: skip
    else:
        lines += ["tokenizer = AutoTokenizer.from_pretrained(directory)"]
    if ends is not None:
        return [*lines, *_writing(graphs, texts[0], ends, limit, published=published)]
    return [*lines, *_labelling(predictor, graphs[0], texts, published=published)]


def _labelling(
    predictor: Predictor, graph: str, texts: Sequence[str], *, published: bool
) -> list[str]:
    read = "tokenizer.encode(*{})"
    given = [
        "def logits_of(read):",
        '    given = {"input_ids": read.ids, "attention_mask": read.attention_mask,',
        '             "token_type_ids": read.type_ids}',
    ]
    if not published:
        limit = predictor.task.max_source_tokens
        read = f"tokenizer(*{{}}, truncation=True, max_length={limit})"
        given = ["def logits_of(given):"]
    return [
        f'session = onnxruntime.InferenceSession(directory + "/{graph}")',
        "names = [each.name for each in session.get_inputs()]",
        "",
        *given,
        "    batch = {name: np.array([given[name]], dtype=np.int64) for name in names}",
        '    return session.run(["logits"], batch)[0][0]',
        "",
        f"texts = {[*texts]!r}",
        f"read = {read.format('texts')}",
        "logits = logits_of(read)",
        *_answer(predictor, read, published=published),
    ]


def _answer(predictor: Predictor, read: str, *, published: bool) -> list[str]:
    task = predictor.task
    config: Any = predictor.model.config
    lines = []
    if task.symmetric:  # both orders count
        lines = [f"logits = (logits + logits_of({read.format('texts[::-1]')})) / 2"]
    if task.scored:
        return [*lines, "print(round(float(logits[0]), 4))"]
    lines += [f"labels = {[config.id2label[i] for i in range(config.num_labels)]!r}"]
    if task.labels_tokens:
        ids = 'tokenizer.convert_ids_to_tokens(read["input_ids"])'
        return [
            *lines,
            f"tokens = {'read.tokens' if published else ids}",
            "found = [labels[i] for i in logits.argmax(-1)]",
            "print([*zip(tokens, found)])",
        ]
    if task.divisor is not None:
        lines += [f"logits = logits / {task.divisor!r}  # calibrates probabilities"]
    if config.problem_type == "multi_label_classification":
        lines += ["chances = 1 / (1 + np.exp(-logits))"]
    else:
        lines += ["chances = np.exp(logits - logits.max())", "chances /= chances.sum()"]
    return [*lines, "print({name: round(float(x), 4) for name, x in zip(labels, chances)})"]


def _writing(
    graphs: Sequence[str], text: str, ends: Ends, limit: int, *, published: bool
) -> list[str]:
    encoder, decoder, with_past = graphs
    end = ends.end_ids[0]
    read = f"tokenizer.encode({text!r}).ids"
    if not published:
        read = f'tokenizer({text!r}, truncation=True, max_length={limit})["input_ids"]'
    return [
        f'encoder = onnxruntime.InferenceSession(directory + "/{encoder}")',
        f'decoder = onnxruntime.InferenceSession(directory + "/{decoder}")',
        f'with_past = onnxruntime.InferenceSession(directory + "/{with_past}")',
        "",
        f"ids = {read}",
        f"ids = ids if ids[-1] == {end} else [*ids[:{limit - 1}], {end}]",
        "mask = np.ones((1, len(ids)), dtype=np.int64)",
        'hidden = encoder.run(None, {"input_ids": np.array([ids]), "attention_mask": mask})[0]',
        'given = {"encoder_attention_mask": mask, "encoder_hidden_states": hidden}',
        f"session, past, token, written = decoder, {{}}, {ends.start_id}, []",
        f"while len(written) < {ends.limit} and (not written or token not in {[*ends.end_ids]}):",
        '    outputs = session.run(None, {**given, "input_ids": np.array([[token]])})',
        "    found = {each.name: value for each, value in zip(session.get_outputs(), outputs)}",
        '    token = int(found.pop("logits")[0, -1].argmax())',
        "    written.append(token)",
        '    past |= {name.replace("present", "past_key_values"): v for name, v in found.items()}',
        '    session, given = with_past, {"encoder_attention_mask": mask, **past}',
        "print(tokenizer.decode(written, skip_special_tokens=True))",
    ]
