"""`python -m benchmarks.pictures STUDY`: the README's pictures, a figure of a study's report and the top of its page.

A headless Chromium draws them, and both together stay small: they travel with every clone.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from instruct_ablate.report.report import write_report

TARGET = Path(__file__).parents[1] / "docs" / "pictures"
MOST = 150_000  # bytes of both together
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FIGURE, PAGE = 760, (1100, 900)  # pixels
SIZE = re.compile(r'<svg[^>]* viewBox="0 0 ([\d.]+) ([\d.]+)"')
# What differs from machine to machine.
HIDDEN = "<style>header .quiet { display: none }</style>"


def draw(address: str, size: tuple[int, int]) -> bytes:
    """Return a page as a PNG of few colours."""
    from PIL import Image

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/user",
        ]
        words = [
            f"--window-size={size[0]},{size[1]}",
            f"--screenshot={picture}",
            "--virtual-time-budget=10000",
        ]
        subprocess.run([browser, *options, *words, address], check=True, capture_output=True, timeout=300)
        with Image.open(picture) as drawn:
            few = drawn.convert("RGB").quantize(32)
    written = io.BytesIO()
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


def pictures(study: Path, figure: str) -> dict[str, bytes]:
    """Draw a figure and the top of the page of a study's report, which is written anew."""
    report = write_report(study)
    svg = (report.folder / "figures" / f"{figure}.svg").resolve()
    width, height = map(float, SIZE.search(svg.read_text(encoding="utf-8")).groups())
    with tempfile.TemporaryDirectory() as folder:
        frame, page = Path(folder) / "figure.html", Path(folder) / "page.html"
        frame.write_text(
            f'<body style="margin:0;background:white"><img src="{svg.as_uri()}" width="{FIGURE}">'
        )
        page.write_text(report.page.read_text(encoding="utf-8").replace("</head>", f"{HIDDEN}</head>", 1))
        size = (FIGURE, round(FIGURE * height / width) + 1)
        return {"figure.png": draw(frame.as_uri(), size), "page.png": draw(page.as_uri(), PAGE)}


def main() -> None:
    """Draw both and write them where the README looks for them."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("study", type=Path)
    asked.add_argument(
        "--figure", default="exact_match", help="a file of STUDY/report/figures, without its end"
    )
    given = asked.parse_args()
    drawn = pictures(given.study, given.figure)
    if (size := sum(map(len, drawn.values()))) > MOST:
        sys.exit(f"{size:,} bytes: more than {MOST:,}")
    TARGET.mkdir(exist_ok=True)
    for name, content in drawn.items():
        (TARGET / name).write_bytes(content)
        print(f"{TARGET / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
