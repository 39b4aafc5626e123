"""Run by CI in an environment with the light install only: what promises to work without torch does.

Not collected by pytest: it has to run outside the environment that has everything.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

LIFTGATE = Path(sys.executable).with_name("liftgate")


def call(*words: str, expect: int = 0) -> dict[str, object]:
    done = subprocess.run([LIFTGATE, *words, "--json"], capture_output=True, text=True)
    assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stderr}"
    return dict(json.loads(done.stdout))


def main() -> None:
    assert importlib.util.find_spec("torch") is None, "this environment has torch: the test would prove nothing"
    folder = Path(tempfile.mkdtemp())
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 64} for i in range(1, 13)]
    boxes = [[10, 10, 20, 20] for _ in images]
    truth = {
        "images": images,
        "categories": [{"id": 1, "name": "cone"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": box, "area": 400, "iscrowd": 0}
            for i, box in enumerate(boxes, 1)
        ],
    }
    found = [{"image_id": i, "category_id": 1, "bbox": box, "score": 0.9} for i, box in enumerate(boxes, 1)]
    for image in images:
        Image.effect_noise((64, 64), 40).save(folder / str(image["file_name"]))
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "good.json").write_text(json.dumps(found))
    (folder / "half.json").write_text(json.dumps(found[:6]))
    where = ["--truth", str(folder / "truth.json")]

    evaluation = call("evaluate", *where, "--predictions", str(folder / "half.json"))
    assert evaluation["n_images"] == 12
    assert abs(evaluation["metrics"]["recall"] - 0.5) < 1e-12  # type: ignore[index]
    pair = ["--control", str(folder / "half.json"), "--treatment", str(folder / "good.json")]
    assert call("compare", *where, *pair, "--metric", "recall", "--margin", "0.1")["verdict"] == "PASS"
    assert call("check", str(folder / "truth.json"))["ok"] is True
    assert subprocess.run([LIFTGATE, "explain", "splits.leak_group"], capture_output=True).returncode == 0
    assert call("size", "rate", "--at-least", "0.95", "--true", "0.97")
    rows = ["epoch,train/box_loss,metrics/mAP50(B),metrics/mAP50-95(B)"]
    rows += [f"{n},{2 / n:.4f},{1 - 1 / n:.4f},{0.6 - 0.6 / n:.4f}" for n in range(1, 31)]
    (folder / "results.csv").write_text("\n".join(rows))
    assert call("doctor", str(folder / "results.csv"))["epochs"] == 30
    drawn = ["--images", str(folder), "--classes", "cone", "--out", str(folder / "judged")]
    call("judge", str(folder / "half.json"), str(folder / "good.json"), *drawn)
    assert (folder / "judged" / "judge.html").is_file()
    print("8 passed, 0 failed")


if __name__ == "__main__":
    main()
