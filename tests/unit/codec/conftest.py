"""Makes the modules beside the tests importable: `cases` (arrays), `plain_decoder` (the format in plain Python)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
