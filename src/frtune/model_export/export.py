"""A finished model as a graph for ONNX Runtime: compared with the model, written whole or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from frtune.environment.hardware import processor
from frtune.environment.threads import fit_threads
from frtune.environment.versions import versions
from frtune.errors import InputError, first_line, nearest
from frtune.failures import is_disk_full
from frtune.files import new_folder, write_json
from frtune.inference import Predictor
from frtune.inference_precision import family_of
from frtune.model_export.card import write_card
from frtune.model_export.checked_rows import CheckedRows, rows_to_check
from frtune.model_export.comparison import check_equal, compare_sides
from frtune.model_export.graph_quantization import quantize_graphs
from frtune.model_export.graphs import check_exporter, write_encoder, write_encoder_decoder
from frtune.model_export.greedy import Ends, GraphWriter
from frtune.model_export.sides import EncoderSide, Side, WriterSide
from frtune.models.adapter_base import ADAPTER_CONFIG
from frtune.models.bitsandbytes import quantization_record
from frtune.models.families import kind_of
from frtune.models.lineage import copy_lineage
from frtune.models.loading import load_saved
from frtune.models.onnx_graph import EXPORT_FILE, onnxruntime, refuse_graph
from frtune.models.proof_record import copy_record, warn_unproven
from frtune.outputs import check_output_directory
from frtune.tasks.base import Task
from frtune.tasks.config_file import check_directory, load_task, save_task
from frtune.training.generation import generation_settings

Format = Literal["onnx"]
_VERSIONED = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime")
TORCH, FP32, INT8 = "PyTorch, fp32", "ONNX Runtime, fp32", "ONNX Runtime, int8"


def export(
    directory: str | Path,
    output_dir: str | Path,
    *,
    to: Format = "onnx",
    int8: bool = False,
    data: Any = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    max_rows: int | None = None,
    encoding: str | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> dict[str, Any]:
    """Write a finished model as a graph for ONNX Runtime, and compare the two.

    Encoders become ``model.onnx``, encoder-decoders ``encoder_model.onnx``, ``decoder_model.onnx``
    and ``decoder_with_past_model.onnx``. An adapter is merged first. Logits of a graph in fp32 must
    be those of PyTorch, to 1e-4 of the largest one: of rows alone, of several of different lengths,
    and of the longest that the task permits.

    Args:
        directory: What ``frtune train`` or ``frtune.save`` left: full weights or an adapter.
        output_dir: A new or empty directory, outside of ``directory``.
        to: The format.
        int8: Write ``..._quantized.onnx`` instead, quantised by ONNX Runtime: weights in 8 bits,
            activations rounded while it runs.
        data: Rows with labels to compare on and to score, as of ``evaluate``; ``None`` takes the
            texts of ``predictions.jsonl``, or samples.
        columns: As of ``evaluate``.
        split: As of ``evaluate``.
        max_rows: As of ``evaluate``.
        encoding: As of ``evaluate``.
        text_columns: As of ``evaluate``.
        decimal_comma: As of ``evaluate``.

    Returns:
        What ``frtune_export.json`` holds: ``format``, ``source``, ``files``, ``merged_adapter``,
        ``rows`` (what was compared, in words), ``score`` (name of the score in ``sides``),
        ``sides`` (PyTorch and the graphs, as ``compare_sides`` returns them: sizes in bytes, times
        in seconds a text), ``threads``, ``processor`` and ``versions``.

    Raises:
        InputError: If the directory holds no finished model in full precision, or a decoder; if
            the output is not a new directory outside of it; if a package is missing; if ``data``
            cannot be read or scored.
        RuntimeError: If PyTorch cannot export the model, the graph's logits are not the model's,
            or the lines of the README fail.
    """
    check_output_directory(output_dir, "output")
    directory, output_dir = Path(directory), Path(output_dir)
    task = _check(directory, output_dir, to)
    warn_unproven(directory)
    fit_threads()
    adapted = (directory / ADAPTER_CONFIG).is_file()
    reading = {"split": split, "max_rows": max_rows, "encoding": encoding}
    reading |= {"text_columns": text_columns, "decimal_comma": decimal_comma}
    checked = rows_to_check(directory, task, data=data, columns=columns, **reading)
    model, tokenizer = load_saved(directory, task, merge=adapted)
    predictor = Predictor(checked.task, model, tokenizer)
    with new_folder(output_dir) as draft:
        tokenizer.save_pretrained(draft)
        save_task(task, draft)
        copy_lineage(directory, draft)
        copy_record(directory, draft)
        _save_settings(model, draft)
        ends = _ends(predictor) if task.generates else None
        files, sides = _compared(directory, draft, predictor, checked, ends=ends, int8=int8)
        record = {
            "format": to,
            "source": str(directory),
            "merged_adapter": adapted,
            "files": files,
            "rows": checked.origin,
            "score": task.main_score,
            "sides": sides,
            "threads": torch.get_num_threads(),
            "processor": processor(),
            "versions": versions(*_VERSIONED),
        }
        write_json(draft / EXPORT_FILE, record)
        write_card(draft, output_dir, predictor, checked, record, ends=ends)
    return record


def _check(directory: Path, output_dir: Path, to: str) -> Task:
    """The task of a directory that can be exported into ``output_dir``."""
    if to not in get_args(Format):
        formats = [*get_args(Format)]
        raise InputError(f"to={to!r}: {' or '.join(formats)}.{nearest(str(to), formats)}")
    check_exporter()
    onnxruntime()
    task = load_task(check_directory(directory))
    refuse_graph(directory)
    record = quantization_record(directory)
    if record is not None:
        raise InputError(
            f"{directory}: is quantised ({record['method']}), and its layers have no graph. Export "
            f"what it was made from, {record.get('source')}; --int8 quantises the graph."
        )
    check_output_directory(output_dir, "output", empty=True, outside=directory)
    _check_kind(directory, task)
    return task


def _check_kind(directory: Path, task: Task) -> None:
    """Refuse (``InputError``) a decoder, by its config and before its weights are read."""
    family = family_of(directory)
    if family.kind == "decoder":
        raise InputError(
            f"{directory}: is a decoder ({family.name}), and frtune exports encoders and "
            f"encoder-decoders. Serve it with frtune serve, or train {task.name} on one of those."
        )


def _save_settings(model: Any, folder: Path) -> None:
    """Write the config and the settings of generation, as Transformers has them."""
    config = model.config
    config._name_or_path = ""
    config.architectures = [type(model).__name__]
    if config.is_encoder_decoder:
        config.use_cache = True  # training with checkpointing says no
    config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)


def _compared(
    directory: Path, draft: Path, predictor: Predictor, checked: CheckedRows, *, ends: Ends | None,
    int8: bool,
) -> tuple[list[str], list[dict[str, Any]]]:  # fmt: skip
    """Write the graphs; the names of their files, and how they compare with PyTorch."""
    model = predictor.model
    encoded = predictor.encode(checked.rows, with_labels=checked.labelled)
    write = write_encoder if ends is None else write_encoder_decoder
    files = _exported(directory, lambda: write(model, draft))
    weights = sum(each.numel() * each.element_size() for each in model.parameters())

    def graph_side(names: Sequence[str]) -> Side:
        graphs = [name for name in names if name.endswith(".onnx")]
        if ends is None:
            return EncoderSide.of_graph(predictor, draft / graphs[0])
        return WriterSide(predictor, ends, GraphWriter(draft, graphs))

    original = EncoderSide(predictor) if ends is None else WriterSide(predictor, ends)
    sides = {TORCH: (original, weights), FP32: (graph_side(files), _size(draft, files))}
    if int8:
        quantized = quantize_graphs(draft, files)
        sides[INT8] = (graph_side(quantized), _size(draft, quantized))
    found = compare_sides(checked, sides, encoded)
    check_equal(found[1], directory)
    if int8:
        for name in files:
            (draft / name).unlink()
        files = quantized
    return files, found


def _size(folder: Path, files: Sequence[str]) -> int:
    return sum((folder / name).stat().st_size for name in files)


def _exported(directory: Path, write: Callable[[], list[str]]) -> list[str]:
    """What ``write`` writes; what PyTorch's exporter cannot do is told in one line."""
    try:
        return write()
    except Exception as error:
        if is_disk_full(error) or isinstance(error, InputError):
            raise
        cause = error.__cause__ or error  # the exporter's own error says how to report it
        raise RuntimeError(
            f"{directory}: PyTorch {torch.__version__} cannot export this model "
            f"({type(cause).__name__}: {first_line(cause)}). Nothing was written; docs/export.md "
            "says which families were tried."
        ) from error


def _ends(predictor: Predictor) -> Ends:
    """What begins and ends the text that a model writes, as ``frtune predict`` has it."""
    task, tokenizer = predictor.task, predictor.tokenizer
    kind = kind_of(predictor.model)
    settings = generation_settings(
        tokenizer, end_id=task.end_id(tokenizer, kind), max_new_tokens=task.max_target_tokens
    )
    start = predictor.model.generation_config.decoder_start_token_id
    if start is None:
        start = predictor.model.config.decoder_start_token_id
    return Ends(
        start_id=int(start),
        end_ids=tuple(settings["eos_token_id"]),
        pad_id=settings["pad_token_id"],
        limit=settings["max_new_tokens"],
    )
