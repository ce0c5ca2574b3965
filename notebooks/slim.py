"""Reduce the pictures of executed notebooks to 256 colours, which keeps each notebook below a megabyte.

Run as ``python notebooks/slim.py notebooks/*.ipynb``; ``make notebooks`` does.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

from PIL import Image


def slim(picture: str) -> str:
    """Return a PNG in base64 with a palette, or as it was where that is no shorter."""
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "P":
        return picture
    on_white = Image.new("RGB", image.size, "white")
    on_white.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    written = io.BytesIO()
    on_white.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        written, "PNG", optimize=True
    )
    shorter = base64.b64encode(written.getvalue()).decode() + "\n"
    return min(shorter, picture, key=len)


def main() -> None:
    """Rewrite the notebooks that the command line names."""
    for path in map(Path, sys.argv[1:]):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                if "image/png" in data:
                    data["image/png"] = slim(data["image/png"])
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
