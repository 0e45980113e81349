"""The pipeline room: which shards there are, which are done, and where they are made."""

from gmaps.pipeline.parts import finalize, planned, prepare
from gmaps.pipeline.plan import Estimate, Plan
from gmaps.pipeline.report import BuildReport
from gmaps.pipeline.run import build
from gmaps.pipeline.spec import BuildSpec
from gmaps.pipeline.verify import recompute_rows
from gmaps.pipeline.worker import make_sample

__all__ = [
    "BuildReport",
    "BuildSpec",
    "Estimate",
    "Plan",
    "build",
    "finalize",
    "make_sample",
    "planned",
    "prepare",
    "recompute_rows",
]
