"""What bf16 costs in digits, on a pre-trained model; ``Settings`` states these bounds."""

from __future__ import annotations

import pytest

from frtune.study import layer_statistics
from frtune.study.checkpoints import load_base, read_checkpoint


@pytest.mark.slow  # where bf16 is emulated
def test_bf16_costs_no_more_digits_than_is_said(minilm, corpus):
    checkpoint = read_checkpoint("minilm", minilm)
    model = load_base(checkpoint).model
    full, half = (
        layer_statistics(model, checkpoint.tokenizer, corpus[-7:], bf16=bf16)
        for bf16 in (False, True)
    )
    off = (full["value"] - half["value"]).abs()
    cosines = full["statistic"].str.match("cosine|self")
    assert 0 < off[cosines].max() < 1e-3
    others = ~cosines & (full["statistic"] != "outlier_dimensions") & (full["value"] != 0)
    others &= full["statistic"] != "outlier_cosine_share"
    assert (off[others] / full["value"][others].abs()).max() < 2e-3
