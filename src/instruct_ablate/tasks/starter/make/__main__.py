"""The command: rewrites the collection in place, byte for byte the same from the same recipes."""

import sys

from instruct_ablate.tasks.starter import ROOT
from instruct_ablate.tasks.starter.make.recipes import RECIPES
from instruct_ablate.tasks.starter.make.write import write_collection

if __name__ == "__main__":
    write_collection(RECIPES, ROOT)
    sys.stdout.write(f"{len(RECIPES)} tasks written under {ROOT}\n")
