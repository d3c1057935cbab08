"""What fine-tuning does to a model's hidden states, layer by layer.

``study`` compares checkpoints; ``layer_statistics``, ``compare_layers``, ``probe_layers`` and
``convergence`` do one part each on models that are loaded already.
"""

from frtune.study.answers import convergence as convergence
from frtune.study.functions import compare_layers as compare_layers
from frtune.study.functions import layer_statistics as layer_statistics
from frtune.study.functions import probe_layers as probe_layers
from frtune.study.layer_study import study as study
from frtune.study.result import Study as Study

__all__ = ["Study", "compare_layers", "convergence", "layer_statistics", "probe_layers", "study"]
