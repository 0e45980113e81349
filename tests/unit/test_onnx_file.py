"""A trained network as an ONNX file gives PyTorch's joints, of any batch, and says what it wants."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gmaps.cli import main

from gmaps.datasets import load_dataset

torch = pytest.importorskip("torch")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from gmaps.inference import Predictor  # noqa: E402
from gmaps.inference.onnx_file import TOLERANCE, JointsOf, export_onnx  # noqa: E402
from gmaps.nets.inputs import entries  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"


def checkpoint(name: str, folder: Path) -> Path:
    path = folder / f"{name}.pt"
    path.write_bytes(lzma.decompress((GOLDEN / f"{name}.pt.xz").read_bytes()))
    return path


def crops(predictor: Predictor, count: int) -> list:
    """Crops on which nothing was exported nor checked."""
    made = load_dataset("synthetic", frames=count, seed=77)
    return [predictor.crop(made.read(i), made.read(i).joints.mean(0)) for i in range(count)]


@pytest.mark.parametrize("name", [*(pytest.param(n, marks=pytest.mark.slow) for n in ("geodesic", "voxel")), "views"])
def test_the_file_gives_pytorchs_joints(name, tmp_path):
    path, out = checkpoint(name, tmp_path), tmp_path / "hand.onnx"
    assert export_onnx(path, out) <= TOLERANCE
    predictor = Predictor(path, device="cpu")
    session = runtime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert {p.name for p in tmp_path.iterdir()} == {path.name, out.name}
    for count in (1, 2, 7):
        some = crops(predictor, count)
        batch = predictor.batch(some)
        names = [i.name for i in session.get_inputs()]
        values = (batch["cube"], *entries(batch, predictor.net.inputs))
        (found,) = session.run(["joints"], {n: v.numpy() for n, v in zip(names, values, strict=True)})
        wanted = predictor.crops(some)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= TOLERANCE * predictor.half_side
        assert np.ptp(found, axis=1).max() > 1  # no hand shrunk to a point
    about = json.loads(session.get_modelmeta().custom_metadata_map["gmaps"])
    assert about["crop"] == predictor.crop_settings
    assert about["joints"] == list(predictor.skeleton.joints)


def test_the_command_says_what_it_wrote_and_replaces_nothing_unasked(tmp_path):
    path, out = checkpoint("geodesic", tmp_path), tmp_path / "hand.onnx"
    words = ["export-model", str(path), "--onnx", str(out)]
    said = CliRunner().invoke(main, [*words, "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["bytes"] == out.stat().st_size
    before = out.read_bytes()
    again = CliRunner().invoke(main, words)
    assert again.exit_code != 0
    assert "--overwrite" in again.output
    assert out.read_bytes() == before
    lost = CliRunner().invoke(main, ["export-model", str(path), "--onnx", str(tmp_path / "no" / "hand.onnx")])
    assert lost.exit_code != 0
    assert "Traceback" not in lost.output
    assert "cannot be written" in lost.output


class Unsayable(torch.nn.Module):
    """What no ONNX file can hold: a step that Python decides by the pixels."""

    def forward(self, depth):
        return depth if float(depth.sum()) > 0 else -depth


@pytest.mark.slow
def test_a_network_that_onnx_cannot_say_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    path, out = checkpoint("geodesic", tmp_path), tmp_path / "hand.onnx"
    import gmaps.inference.onnx_file as module

    class Other(JointsOf):
        def forward(self, cube, *inputs):
            return super().forward(cube, *(Unsayable()(i) for i in inputs))

    monkeypatch.setattr(module, "JointsOf", Other)
    with pytest.raises(module.UsageError, match="cannot be written as ONNX"):
        export_onnx(path, out)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_torch_export_and_compile_take_the_network(tmp_path):
    predictor = Predictor(checkpoint("geodesic", tmp_path), device="cpu")
    whole = JointsOf(predictor.net).eval()
    batch = predictor.batch(crops(predictor, 3))
    values = (batch["cube"], *entries(batch, predictor.net.inputs))
    with torch.inference_mode():
        wanted = whole(*values)
    size = torch.export.Dim("batch", min=1)
    program = torch.export.export(whole, values, dynamic_shapes=({0: size}, tuple({0: size} for _ in values[1:])))
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(*(v[:2] for v in values)), wanted[:2], rtol=0, atol=0.01)
    # Graphs are made and run as they are: what a C++ compiler makes of them is PyTorch's affair.
    torch._dynamo.reset()
    fast = torch.compile(whole, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(fast(*values), wanted, rtol=0, atol=0.01)
