"""The command line: click commands without logic. Each command's module loads when it is called."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from typing import Any

import click

import gmaps
from gmaps.formats.printable import printable

from ._terminal import echo

# Matplotlib refuses to be imported where this is nonsense, and no picture of ours needs it.
os.environ.pop("MPLBACKEND", None)

#: Command -> its one-line help, so that `gmaps --help` loads none of them.
_COMMANDS = {
    "datasets": "What data sets are known, where to get them, and whether a tree is complete.",
    "maps": "What guidance maps are known.",
    "synth": "Write frames of the synthetic hand as files of a data set.",
    "build": "Build a store of crops and guidance maps from a data set.",
    "plan": "Plan a build that several machines share in parts.",
    "finalize": "Make a store of the parts of a planned build.",
    "inspect": "Look into a store, or at one sample of it.",
    "verify": "Check a store: every checksum, and a sample of rows computed anew.",
    "store": "Add map kinds to a finished store, or remove them.",
    "export": "Write a store as HDF5 files in the original HandMap layout.",
    "evaluate": "Judge predicted joints by the field's protocols, in true mm.",
    "train": "Train a network from a store.",
    "predict": "Predict joints with a trained network, of a store or of one depth image.",
    "sample": "Draw hands from the latent space of a trained cross-modal VAE.",
    "fit": "Fit the hand to joints of a store or a file: angles, bones and meshes.",
    "export-model": "Write a trained network as an ONNX file, checked against PyTorch.",
    "view": "Look at a store, a run or a recording in the browser.",
    "detect": "Find hands in depth images, of a folder, a video, a recording or a camera.",
    "track": "Find and follow hands: joints in every frame, of files or of a camera.",
    "doctor": "Versions, cores, memory, caches.",
}


#: What a person can do about an error of the operating system.
_CURES = {
    errno.ENOSPC: "make room, then run the same command again",
    errno.EDQUOT: "the quota is used up: make room, then run the same command again",
    errno.EMFILE: "too many files are open: raise `ulimit -n`, then run the same command again",
    errno.ENFILE: "the machine has too many files open: run the same command again later",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "see to its permissions, or choose another place",
    errno.EPERM: "see to its permissions, or choose another place",
    errno.EIO: "the disk or the network file system fails: see to it, then run the same command again",
}


def _of_the_system(error: OSError) -> str:
    """An error of the operating system in a line: the file, what happened, the cure."""
    name = error.filename if isinstance(error.filename, str) else "a file or the output"
    cure = _CURES.get(error.errno or 0)
    return f"{name}: {error.strerror or error}" + (f"; {cure}" if cure else "")


class _Printable(logging.Formatter):
    """As `echo`: what is logged may name files of strangers."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), lines=record.exc_info is not None)


def _log_to_stderr() -> None:
    """What gmaps logs is for the person at the terminal."""
    log = logging.getLogger("gmaps")
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Printable("gmaps: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __package__)
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from gmaps.errors import unknown_name

            raise click.UsageError(str(unknown_name("command", args[0], _COMMANDS)))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        from gmaps.errors import GmapsError

        _log_to_stderr()
        try:
            return super().invoke(ctx)
        except GmapsError as error:
            echo(f"gmaps: {error}", err=True, lines=False)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # whoever read our output has seen enough: click leaves quietly
            echo(f"gmaps: {_of_the_system(error)}", err=True, lines=False)
            ctx.exit(1)
        except KeyboardInterrupt as stop:
            # An exception without arguments is true, and its text empty: Ctrl-C before a build has begun.
            echo(f"\ngmaps: {str(stop) or 'stopped: run the same command again to go on'}", err=True)
            ctx.exit(130)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(gmaps.__version__, prog_name="gmaps")
def main() -> None:
    """Dense guidance maps for depth-based hand-pose networks.

    \b
    gmaps build --dataset msra --workers 32     a store of crops and maps
    gmaps inspect sample 42                     one sample, as numbers and as a picture
    """
