"""`gmaps export-model`."""

from __future__ import annotations

import click

from ._common import json_option, print_json
from ._terminal import echo


@click.command("export-model")
@click.argument("checkpoint")
@click.option("--onnx", "out", required=True, metavar="OUT.onnx", help="The file to write.")
@click.option("--model", metavar="MODULE:NAME", help="Where the checkpoint is of a network of your own.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export.")
@json_option
def export_model(checkpoint: str, out: str, model: str | None, overwrite: bool, as_json: bool) -> None:
    """Write the network of CHECKPOINT as an ONNX file, for programs without PyTorch.

    CHECKPOINT is a file of `gmaps train`, or its run's folder. The file takes cubes (B, 4), mm, and crops (B, 1, S,
    S), and gives joints (B, J, 3), mm, camera axes; it is checked against PyTorch before it appears. Needs the extra
    `onnx`: pip install 'guidance-maps[onnx]'.
    """
    from pathlib import Path

    from gmaps.inference.onnx_file import export_onnx
    from gmaps.pipeline.progress import format_bytes

    worst = export_onnx(checkpoint, out, network=model, overwrite=overwrite)
    size = Path(out).stat().st_size
    if as_json:
        print_json({"checkpoint": checkpoint, "file": out, "bytes": size, "difference": worst})
        return
    echo(f"{out}  {format_bytes(size)}; joints differ from PyTorch's by at most {worst:.1g} of the cube's half side")
