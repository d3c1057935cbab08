"""What loads on first use."""

from . import compression as compression
from . import loading as loading
from . import text_lines as text_lines
from . import word_ids as word_ids
