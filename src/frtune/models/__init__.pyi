"""What loads on first use."""

from . import saved_adapter as saved_adapter
