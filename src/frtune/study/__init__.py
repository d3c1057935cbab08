"""What fine-tuning does to a model's hidden states, layer by layer.

``study`` compares checkpoints; ``layer_statistics``, ``compare_layers``, ``probe_layers`` and
``convergence`` do one part each on models that are loaded already. ``read_rows`` reads what is
studied; ``headlines`` and ``write_report`` tell what was found.
"""

from frtune.study.answers import convergence as convergence
from frtune.study.findings import headlines as headlines
from frtune.study.functions import compare_layers as compare_layers
from frtune.study.functions import layer_statistics as layer_statistics
from frtune.study.functions import probe_layers as probe_layers
from frtune.study.layer_study import study as study
from frtune.study.report import write_report as write_report
from frtune.study.result import Study as Study
from frtune.study.rows import read_rows as read_rows

__all__ = [
    "Study",
    "compare_layers",
    "convergence",
    "headlines",
    "layer_statistics",
    "probe_layers",
    "read_rows",
    "study",
    "write_report",
]
