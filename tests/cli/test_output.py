"""What commands print: what is done, bars, tables; no messages of other libraries."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings

import transformers
from transformers.utils.logging import set_tqdm_hook

from frtune.environment.progress import brief_bars
from frtune.environment.startup import LOGGED, WARNED, leave_out_messages

NOISE = (
    "gemm_4bit_forward", "pip install kernels", "Setting accelerator to CPU", "torch.jit",
    "Setting ds_accelerator", "Writing model shards", "Loading weights",
)  # fmt: skip


def frtune(*argv):
    done = subprocess.run(
        [sys.executable, "-m", "frtune", *map(str, argv)],
        capture_output=True, text=True, timeout=300, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_train_and_predict_print_no_messages_of_other_libraries(tmp_path):
    run = tmp_path / "run"
    train = frtune("train", "classification", "--max-train-rows", 24, "--max-steps", 2,
                   "--output-dir", run)  # fmt: skip
    predict = frtune("predict", run, "--text", "Loyer de mars")
    assert [word for word in NOISE if word in train + predict] == []
    # a bar writes over its line
    assert train.count("\n") < 50 and predict.count("\n") <= 1
    assert "model directory" in train and "Loyer de mars" in predict


def test_the_other_messages_of_a_library_still_come(caplog, recwarn):
    filters = {name: list(logging.getLogger(name).filters) for name in LOGGED}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            leave_out_messages()
            for text in (*WARNED, "another"):
                warnings.warn(text, FutureWarning, stacklevel=1)
        for name, starts in LOGGED.items():
            logger = logging.getLogger(name)
            logger.propagate, before = True, logger.propagate
            for start in starts:
                logger.warning(f"{start} from %s", "x")
            logger.warning("another from %s", name)
            logger.propagate = before
    finally:
        for name, kept in filters.items():
            logging.getLogger(name).filters[:] = kept
    # a logger may be listened to in two places
    messages = list(dict.fromkeys(each.getMessage() for each in caplog.records))
    assert messages == [f"another from {name}" for name in LOGGED]
    assert [str(each.message) for each in recwarn] == ["another"]


def test_a_short_bar_is_not_shown_and_a_users_hook_stays(capsys):
    transformers.utils.logging.enable_progress_bar()  # a preflight in this process leaves it off
    bar = transformers.utils.logging.tqdm
    with brief_bars():
        list(bar(range(3), desc="Loading weights"))
    assert capsys.readouterr().err == ""
    list(bar(range(3), desc="Loading weights"))
    assert "Loading weights" in capsys.readouterr().err

    seen = []

    def hook(make, words, options):
        seen.append(options)
        return make(*words, **options)

    set_tqdm_hook(hook)
    try:
        with brief_bars():
            list(bar(range(3), desc="mine"))
        assert seen == [{"desc": "mine"}] and set_tqdm_hook(None) is hook
    finally:
        set_tqdm_hook(None)


def test_openmp_is_told_before_torch_is_imported():
    code = ("import os, sys, frtune.cli as c; c._dispatch(['--version']); "
            "import frtune.environment.process as s; s.wait_briefly(); "
            "assert 'torch' not in sys.modules and 'GOMP_SPINCOUNT' in os.environ")  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if "OMP" not in k}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
