"""The version of frtune."""

__version__ = "0.1.0"
