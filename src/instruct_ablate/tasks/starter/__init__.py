"""The starter collection: small original tasks in the layout of Super-NaturalInstructions."""

from pathlib import Path

ROOT = Path(__file__).parent
