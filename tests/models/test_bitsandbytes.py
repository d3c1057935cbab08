import pytest
import torch

from frtune import InputError, quantization_config
from frtune.models.bitsandbytes import torch_dtype


def test_int8_leaves_the_heads_alone():
    config = quantization_config("int8", skip_modules=["classifier", "lm_head"])
    assert config.load_in_8bit and config.llm_int8_skip_modules == ["classifier", "lm_head"]


def test_nf4_is_qloras():
    config = quantization_config("nf4")
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4"
    assert config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert (
        quantization_config("nf4", compute_dtype="float32").bnb_4bit_compute_dtype == torch.float32
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("int4", {}, r"quantization='int4': int8 or nf4"),
        ("nf5", {}, r"Did you mean nf4\?"),
        ("int8", {"compute_dtype": "bfloat16"}, "compute_dtype=bfloat16: for nf4 only"),
    ],
)
def test_bad_input_is_named(name, options, message):
    with pytest.raises(InputError, match=message):
        quantization_config(name, **options)


@pytest.mark.parametrize("name", ["half", "bf32", torch.int8, 3])
def test_an_unknown_dtype_lists_the_known(name):
    with pytest.raises(InputError, match="one of float32, bfloat16, float16"):
        torch_dtype(name)


def test_the_cast_of_int8_is_said_once(caplog):
    import logging

    quantization_config("int8")
    reporter = logging.getLogger("bitsandbytes.autograd._functions")
    for _ in range(3):
        reporter.warning("MatMul8bitLt: inputs will be cast from torch.float32 to float16 (test)")
    assert caplog.text.count("MatMul8bitLt") <= 1
