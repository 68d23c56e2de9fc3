"""Makes the modules beside the tests importable, such as `slim_graph` (variables that TF-Slim's layers create)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
