"""What ``tune`` takes of small data."""

from __future__ import annotations

import pytest

from frtune import parse_train_arguments
from small_data import FAMILY, flags_of


@pytest.fixture
def maker(tiny):
    """``maker(task, data)``: what ``tune`` takes."""

    def of(task, data, *further):
        flags = [*flags_of(task, data, tiny(FAMILY[task])), *further]

        def make(output, options):
            words = [w for name, value in options.items() for w in (f"--{name}", str(value))]
            given = [*flags, "--output-dir", output, *words]
            return parse_train_arguments(task, given)

        return make

    return of
