from instruct_ablate.python_api import compose as compose
from instruct_ablate.python_api import load_study as load_study
from instruct_ablate.python_api import run as run

STARTED: float
__version__: str
