"""What ``review`` takes of small data."""

from __future__ import annotations

import pytest

from frtune import parse_train_arguments
from small_data import FAMILY, SEVERAL, flags_of


@pytest.fixture
def maker(tiny):
    """``maker(task, data)``: what ``review`` takes."""

    def of(task, data, *further):
        flags = [*flags_of(task, data, tiny(FAMILY[task])), *further]
        name = "classification" if task == SEVERAL else task
        return lambda output: parse_train_arguments(name, [*flags, "--output-dir", output])

    return of
