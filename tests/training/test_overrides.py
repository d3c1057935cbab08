"""What is overridden, called and patched of Transformers and its like is still there upstream."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil

import pytest
import torch
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Seq2SeqTrainer,
    Trainer,
    TrainingArguments,
)

from frtune.training.batching import LengthBatches
from frtune.training.progress import HeadlinePrinter
from frtune.training.resumable_trainer import ResumableTrainer
from frtune.training.scoring_trainer import ScoringTrainer
from frtune.training.stateful_trainer import StatefulTrainer
from frtune.training.step_cuts import StepCuts
from frtune.training.trainer import TaskSeq2SeqTrainer, TaskTrainer

# methods that override nothing; every other one must be an upstream method
OWN = {
    "calibrate", "checked_resume", "conditions", "encode", "generate_rows", "save_progress",
    "write_model",
    "_complete", "_layers_without_padding", "_drafted", "_explained_memory", "_exported",
    "_find_best", "_had_ended", "_name_without_state", "_raise_non_finite", "_rows_to_answer",
    "_scores_now", "_scoring", "_settle_model", "_step_batches", "_stop_if_asked", "_surviving",
    "_take_up",
}  # fmt: skip
OURS = (StatefulTrainer, ResumableTrainer, ScoringTrainer, TaskTrainer)
HEADLINES = HeadlinePrinter.__bases__[0]
MADE_BY_US = {
    ScoringTrainer: {"__init__"},
    TaskTrainer: {"__init__"},
    HEADLINES: {"__init__"},
}  # called by our code alone

PAIRS = [
    (StatefulTrainer, Trainer), (StatefulTrainer, Seq2SeqTrainer),
    (ResumableTrainer, Trainer), (ResumableTrainer, Seq2SeqTrainer),
    (ScoringTrainer, Trainer), (ScoringTrainer, Seq2SeqTrainer),
    (TaskTrainer, Trainer), (TaskTrainer, Seq2SeqTrainer), (TaskSeq2SeqTrainer, Seq2SeqTrainer),
    (HEADLINES, PrinterCallback),
    (HEADLINES, ProgressCallback),
]  # fmt: skip

# called, read or patched beside the overrides, by what pkgutil.resolve_name takes
UPSTREAM = [
    "transformers:Trainer._finish_current_push",
    "transformers:Trainer.create_model_card",
    "transformers:Trainer.init_hf_repo",
    "transformers:Trainer.save_model",
    "transformers:PretrainedConfig._get_generation_parameters",
    "transformers:PreTrainedModel._keep_in_fp32_modules",
    "transformers:PreTrainedModel.supports_gradient_checkpointing",
    "transformers:PreTrainedTokenizerFast._encode_plus",
    "transformers:T5ForConditionalGeneration._tied_weights_keys",
    "transformers.integrations:get_reporting_integration_callbacks",
    "transformers.integrations:replace_with_bnb_linear",
    "transformers.integrations.deepspeed:_hf_deepspeed_config_weak_ref",
    "transformers.integrations.deepspeed:is_deepspeed_zero3_enabled",
    "transformers.integrations.deepspeed:unset_hf_deepspeed_config",
    "transformers.trainer:TRAINER_STATE_NAME",
    "transformers.trainer:TRAINING_ARGS_NAME",
    "transformers.trainer:hf_api",
    "transformers.trainer_callback:EarlyStoppingCallback.check_metric_value",
    "transformers.trainer_pt_utils:BatchRebalanceSampler",
    "transformers.trainer_utils:HubStrategy.END",
    "transformers.trainer_utils:rotate_checkpoints",
    "transformers.utils:PushInProgress.is_done",
    "accelerate:Accelerator.autocast",
    "accelerate:Accelerator.non_blocking",
    "accelerate:Accelerator.unwrap_model",
    "accelerate:Accelerator.wait_for_everyone",
    "accelerate.utils.memory:should_reduce_batch_size",
    "datasets.fingerprint:Hasher.hash",
    "peft.tuners.trainable_tokens:TrainableTokensLayer._collect_token_weights",
    "peft.tuners.trainable_tokens:TrainableTokensLayer.get_merged_weights",
    "peft.utils.integrations:gather_params_ctx",
    "peft.utils.other:ModulesToSaveWrapper",
    "torch._subclasses.fake_tensor:FakeTensorMode",
    "torch.cpu:_is_amx_tile_supported",
    "torch.cpu:_is_avx512_bf16_supported",
    "deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine:TorchCheckpointEngine.load",
    "deepspeed.runtime.fp16.loss_scaler:DynamicLossScaler",
    "deepspeed.runtime.fp16.loss_scaler:LossScaler",
    "deepspeed.runtime.zero.config:ZeroStageEnum",
    "deepspeed.utils.tensor_fragment:fragment_address",
]
ATTRIBUTES = [  # of a trainer that is made
    "_signature_columns", "_train_batch_size", "accelerator", "callback_handler",
    "compute_loss_func", "control", "data_collator", "hub_model_id", "is_deepspeed_enabled",
    "is_in_train", "is_model_parallel", "model_wrapped", "processing_class",
    "state",
]  # fmt: skip


def faults(ours: type, upstream: type, own=frozenset(OWN)) -> list[str]:
    """Say which methods of ``ours`` override nothing, or take other arguments than upstream's."""
    found = []
    for name, method in vars(ours).items():
        if not inspect.isfunction(method) or name in MADE_BY_US.get(ours, ()):
            continue
        theirs = getattr(upstream, name, None)
        if name in own:
            found += [f"{name}: is upstream's too"] if theirs else []
        elif theirs is None:
            found.append(f"{name}: overrides nothing")
        else:
            found += [f"{name}: {fault}" for fault in misfits(method, theirs)]
    return found


def misfits(ours, theirs) -> list[str]:
    """Say which ways of calling ``theirs`` do not fit ``ours``."""
    parameters = list(inspect.signature(theirs).parameters.values())
    kinds = {kind: [p for p in parameters if p.kind is kind] for kind in inspect._ParameterKind}
    names = [p.name for p in kinds[inspect.Parameter.POSITIONAL_OR_KEYWORD]]
    needed = [p.name for p in parameters if p.name in names and p.default is p.empty]
    more = [p.name for p in kinds[inspect.Parameter.KEYWORD_ONLY]]
    more += ["any_name"] if kinds[inspect.Parameter.VAR_KEYWORD] else []
    ways = {
        "by position": (names, more),
        "by name": (names[:1], names[1:] + more),
        "without defaults": (needed, []),
    }
    found = []
    for way, (placed, named) in ways.items():
        try:
            bound = inspect.signature(ours).bind(*placed, **{name: name for name in named})
        except TypeError as error:
            found.append(f"{way}: {error}")
            continue
        # each argument is its own name, and must arrive under it
        given = {name: value for name, value in bound.arguments.items() if isinstance(value, str)}
        found += [f"{way}: {value} is {name}" for name, value in given.items() if name != value]
    return found


@pytest.mark.parametrize(("ours", "upstream"), PAIRS)
def test_every_override_is_upstream_with_the_same_parameters(ours, upstream):
    methods = [name for name, method in vars(ours).items() if inspect.isfunction(method)]
    assert set(methods) - OWN, "nothing is held"
    assert faults(ours, upstream) == []


def test_what_is_listed_as_our_own_is_there():
    defined = {name for ours in OURS for name in vars(ours)}
    assert defined >= OWN


def test_our_sampler_overrides_what_upstreams_has():
    sampler = pkgutil.resolve_name("transformers.trainer_pt_utils:BatchRebalanceSampler")
    for ours in (LengthBatches, StepCuts):
        assert {"__iter__", "__len__"} <= vars(ours).keys() & set(dir(sampler))


class Upstream:
    """What ``Ours`` was written for; the tests below take parts of it away."""

    def _get_grad_norm(self, model, grad_norm=None):
        """A private hook."""

    def predict(self, rows, keys=None, **options):
        """A public one."""


class Ours:
    def _get_grad_norm(self, model, grad_norm=None): ...

    def predict(self, rows, *args, **options): ...

    def _our_own(self): ...


def faults_without(**changes) -> list[str]:
    """Faults of ``Ours`` with ``Upstream``, some of whose methods are others or gone."""
    parts = {name: part for name, part in vars(Upstream).items() if not name.startswith("__")}
    fake = type("Fake", (), {k: v for k, v in {**parts, **changes}.items() if v is not None})
    return faults(Ours, fake, own={"_our_own"})


def test_a_change_upstream_is_found():
    assert faults_without() == []
    assert faults_without(_get_grad_norm=None) == ["_get_grad_norm: overrides nothing"]
    renamed = faults_without(_get_grad_norm=lambda self, module, grad_norm=None: None)
    assert "_get_grad_norm: by position: module is model" in renamed
    swapped = faults_without(_get_grad_norm=lambda self, grad_norm, model: None)
    assert "_get_grad_norm: by position: grad_norm is model" in swapped
    (longer,) = faults_without(_get_grad_norm=lambda self, model, grad_norm=None, *, scale=1: None)[
        :1
    ]
    assert "unexpected keyword argument 'scale'" in longer
    assert faults_without(predict=lambda self, rows, keys=None, more=None, *, last=0: None) == []
    assert faults_without(_our_own=lambda self: None) == ["_our_own: is upstream's too"]


@pytest.mark.parametrize("name", ["_get_grad_norm", "_load_callback_state", "_run_epoch"])
def test_a_hook_that_trainer_no_longer_has_is_found(name):
    gone = {key: None for key in dir(Trainer) if key == name}
    rest = {key: getattr(Trainer, key) for key in dir(Trainer) if key not in gone}
    fake = type("Fake", (), {k: v for k, v in rest.items() if not k.startswith("__")})
    fake.__init__ = Trainer.__init__
    assert f"{name}: overrides nothing" in [each for ours in OURS for each in faults(ours, fake)]


@pytest.mark.parametrize("name", UPSTREAM)
def test_what_is_used_of_other_libraries_is_there(name):
    if importlib.util.find_spec(name.split(":")[0].split(".")[0]) is None:
        pytest.skip("is not installed")
    pkgutil.resolve_name(name)


def test_a_trainer_has_the_attributes_that_are_read(tmp_path):
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none")
    trainer = Trainer(torch.nn.Linear(1, 1), args)
    assert [name for name in ATTRIBUTES if not hasattr(trainer, name)] == []
    loop = inspect.getsource(Trainer._inner_training_loop)
    for name in (
        "_globalstep_last_logged",
        "_initial_global_step",
        "_total_loss_scalar",
        "_tr_loss",
    ):
        assert f"self.{name} = " in loop
    # made with the repository of a run that pushes
    assert "self.push_in_progress = None" in inspect.getsource(Trainer.init_hf_repo)
    assert "push_in_progress.jobs" in inspect.getsource(Trainer._push_from_checkpoint)
