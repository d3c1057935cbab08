"""Bytes a GPU and its host need, by method and sharding: the formulas, without any model.

P is the number of parameters of the base with its head, T of those trained, N of GPUs, and c the
bytes of a weight in computation: 2 in bf16 and fp16, 4 in fp32. AdamW keeps two fp32 moments,
8 bytes a trained parameter. "ZeRO" is Rajbhandari et al. (2020), sections 5.1 to 5.3; where
DeepSpeed (0.19) keeps more than the paper says, that is counted too.

=============  =======================  =====================  ================================
sharding       weights                  gradients              optimizer
=============  =======================  =====================  ================================
none           4P                       4T                     8T
ddp            4P                       4T, and 4T of buckets  8T
zero2          cP                       (c + 4) T / N          12 T / N (fp32 copy and moments)
zero2_offload  cP                       on the host            on the host: (16 + c) T
zero3          cP / N, and gathered     (c + 4) T / N          12 T / N; 8 T / N in fp32
zero3_offload  gathered                 on the host            on the host: cP + (16 + c) T
=============  =======================  =====================  ================================

With LoRA, P counts the adapter too, and T is the adapter alone. int8 and nf4 replace cP of the
layers that they pack.
"""

from __future__ import annotations

from dataclasses import dataclass

from frtune.environment.precision import Precision
from frtune.models.compatibility import QUANTIZED, Method, Sharding
from frtune.planning.parameters import Parameters

# of deepspeed_configs/*.json, in elements
REDUCE_BUCKET = 200_000_000
LIVE_PARAMETERS = 1_000_000_000
SUB_GROUP = 1_000_000_000

HOST_FACTOR = 1.5  # DeepSpeed's own additional_buffer_factor: pinned buffers round up


@dataclass(frozen=True)
class Memory:
    """Bytes of one run; GPU figures are those of each GPU, host figures those of all together.

    Attributes:
        weights: Weights on a GPU.
        gradients: Gradients on a GPU, with the fp32 copy that the step of ZeRO makes.
        optimizer: Moments and fp32 copies of weights on a GPU.
        buffers: Buckets of communication, and weights that ZeRO-3 gathers.
        host_states: What offload keeps on the host.
        host_loading: Weights on the host while all processes of one host load the model.
    """

    weights: int
    gradients: int
    optimizer: int
    buffers: int
    host_states: int
    host_loading: int

    @property
    def states(self) -> int:
        """Weights, gradients and optimizer states on a GPU."""
        return self.weights + self.gradients + self.optimizer

    @property
    def host(self) -> int:
        """The larger of loading and training on the host."""
        return max(self.host_loading, self.host_offloaded)

    @property
    def host_offloaded(self) -> int:
        """What offload keeps on the host while the run trains."""
        return round(HOST_FACTOR * self.host_states)


def trained(parameters: Parameters, method: Method) -> int:
    """Number of parameters that the method trains."""
    return parameters.total if method == "full" else parameters.trained_adapter


def held(parameters: Parameters, method: Method) -> int:
    """Number of parameters of the model with its adapter."""
    return parameters.total + (0 if method == "full" else parameters.adapter)


def weight_bytes(parameters: Parameters, method: Method, size: int) -> int:
    """Bytes of all weights, ``size`` bytes each where they are not quantised."""
    numbers = held(parameters, method)
    if method not in QUANTIZED:
        return size * numbers
    packed = parameters.int8_bytes if method == "int8" else parameters.nf4_bytes
    return packed + size * (numbers - parameters.quantizable)


def memory(
    parameters: Parameters,
    method: Method,
    sharding: Sharding,
    *,
    gpus: int = 1,
    precision: Precision = "bf16",
) -> Memory:
    """Weights, gradients and optimizer states of one combination, on GPUs of one host, in bytes.

    ``precision`` of ``bf16`` or ``fp16`` is autocast over fp32 weights in plain training, and such
    weights under DeepSpeed; ``fp32`` is neither.

    Example:
        >>> model = Parameters(total=1000, adapter=10, trained_adapter=10, quantizable=800,
        ...                    int8_bytes=840, nf4_bytes=420, largest=100, width=10)
        >>> found = memory(model, "full", "none")
        >>> found.weights, found.gradients, found.optimizer
        (4000, 4000, 8000)
        >>> memory(model, "nf4", "none").weights  # 420 + 4 * (1010 - 800)
        1260
    """
    count, numbers = trained(parameters, method), held(parameters, method)
    part = -(-count // gpus)
    size = 4 if precision == "fp32" else 2
    offload = sharding.endswith("offload")
    # the builder loads fp32 on the host; bitsandbytes loads to the GPU, layer by layer
    loading = 0 if method in QUANTIZED else 4 * parameters.total
    if sharding in ("none", "ddp"):
        weights = weight_bytes(parameters, method, 4)
        buckets = 4 * count if sharding == "ddp" else 0
        return Memory(weights, 4 * count, 8 * count, buckets, 0, loading * gpus)
    if sharding.startswith("zero2"):
        buckets = 2 * REDUCE_BUCKET * size  # two, since communication overlaps, whatever T is
        spare = 2 * min(parameters.largest, count) * size if offload else 0
        return Memory(
            weights=weight_bytes(parameters, method, size),
            gradients=0 if offload else (size + 4) * part,
            optimizer=0 if offload else 12 * part,
            buffers=buckets + spare,
            host_states=(16 + size) * count if offload else 0,
            host_loading=loading * gpus,
        )
    copy = 4 if size < 4 else 0  # in fp32 the partition is its own copy
    return Memory(
        weights=0 if offload else size * -(-numbers // gpus),
        gradients=0 if offload else size * part + 4 * min(part, SUB_GROUP),
        optimizer=0 if offload else (copy + 8) * part,
        buffers=size * (min(numbers, LIVE_PARAMETERS) + parameters.width**2),
        host_states=size * numbers + (16 + size) * count if offload else 0,
        host_loading=loading,
    )
