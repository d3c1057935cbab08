"""What loads on first use."""

from . import encoding as encoding
