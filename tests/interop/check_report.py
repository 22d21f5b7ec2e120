"""html5lib's strict parser reads the report of a run, Pillow its pictures, Python its list of likely label errors, and its
numbers are those of `flowers eval`."""

import base64
import csv
import io
import json

import html5lib
from PIL import Image

import common

args = common.arguments(__doc__)
run, data = args.demo / "run-seed-1", args.demo / "data-seed-1"
path = args.scratch / "report.html"
common.run(args.flowers, "report", "--run", run, "--data", data, "--out", path)

# The first thing that the standard calls an error is one here.
page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_bytes())
print(f"html5lib {html5lib.__version__}: {path.stat().st_size} bytes without an error of syntax")

sizes = {}
for image in page.iter("img"):
    head, encoded = image.get("src").split(",", 1)
    assert head in ("data:image/jpeg;base64", "data:image/png;base64"), head
    picture = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
    picture.load()
    assert picture.format == head[11:].split(";")[0].upper() and picture.mode == "RGB"
    assert picture.size == (int(image.get("width")), int(image.get("height"))), image.attrib
    sizes[picture.format] = sizes.get(picture.format, 0) + 1
print(f"Pillow: {sizes} pictures of the sizes that the page tells")
assert sizes["PNG"] == 32 and sizes["JPEG"] >= 18, sizes

with open(args.scratch / "label-errors.csv", newline="", encoding="utf-8") as file:
    errors = list(csv.DictReader(file, strict=True))
for error in errors:
    assert list(error) == ["split", "file", "record", "filename", "label", "answer", "probability", "loss"], error
    assert error["label"] != error["answer"] and float(error["probability"]) >= 0.7, error
shown = next(section for section in page.iter("section") if section.get("id") == "label-errors")
assert sum(1 for _ in shown.iter("img")) == min(len(errors), 24), errors
print(f"csv: {len(errors)} likely label errors, as many as the page shows")

evaluation = json.loads(common.run(args.flowers, "eval", "--data", data, "--model", run / "model.safetensors", "--json"))
matrix = next(table for table in page.iter("table") if table.get("class") == "matrix")
rows = [["".join(cell.itertext()).strip() for cell in row] for row in matrix.find("tbody")]
names = [row[0] for row in rows]
assert names == [of["name"] for of in evaluation["classes"]], names
counts = {(pair["class"], pair["predicted"]): pair["count"] for pair in evaluation["confusion"]}
for name, *cells in rows:
    assert [int(cell or 0) for cell in cells] == [counts.get((name, other), 0) for other in names], (name, cells)
told = f"accuracy {100 * evaluation['accuracy']:.1f}\u00a0%"
assert told in "".join(page.itertext()), told
print(f"confusion matrix of {evaluation['examples']} photos: that of `flowers eval --json`")
