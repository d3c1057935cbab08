"""Dynamic quantisation of a graph by ONNX Runtime: weights in 8 bits, activations as it runs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path


def quantize_graphs(folder: Path, files: Sequence[str]) -> list[str]:
    """Write each graph again with weights in int8, beside it, as ``..._quantized.onnx``.

    Weights get a scale for each output of a layer, and 7 of the 8 bits: processors without VNNI add
    pairs of products in 16 bits, and more would overflow there. Activations get their scale while
    the graph runs, one for a whole batch.

    Args:
        folder: Where the graphs are.
        files: Their files, those of weights that stand beside them included.

    Returns:
        Names of the files that were written.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    found = []
    root = logging.getLogger()
    level = root.level
    for name in [each for each in files if each.endswith(".onnx")]:
        target = f"{Path(name).stem}_quantized.onnx"
        beside = f"{name}_data" in files
        with tempfile.TemporaryDirectory(dir=folder) as place:
            prepared = Path(place) / name
            try:
                root.setLevel(logging.ERROR)  # it tells the root logger of its steps
                quant_pre_process(
                    folder / name, prepared, skip_symbolic_shape=True, save_as_external_data=beside
                )
                quantize_dynamic(
                    prepared, folder / target, weight_type=QuantType.QInt8, per_channel=True,
                    reduce_range=True, use_external_data_format=beside,
                )  # fmt: skip
            finally:
                root.setLevel(level)
        found += sorted(each.name for each in folder.glob(f"{target}*"))
    return found
