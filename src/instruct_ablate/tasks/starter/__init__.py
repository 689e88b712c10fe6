"""The starter collection: small original tasks in the Super-NaturalInstructions layout, shipped with the package."""

from pathlib import Path

ROOT = Path(__file__).parent
