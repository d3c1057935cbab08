"""The version of frtune."""

__version__ = "0.2.0"
