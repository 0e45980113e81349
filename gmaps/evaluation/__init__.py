"""How good predictions are, by the field's own protocols: text files in, true millimetres out. Imports no torch."""

from __future__ import annotations

from gmaps.evaluation.evaluate import Evaluation, evaluate_file, evaluate_joints
from gmaps.evaluation.files import Table, read_angles, read_groups, read_table, write_table
from gmaps.evaluation.groundtruth import GroundTruth, read_groundtruth
from gmaps.evaluation.metrics import THRESHOLDS_MM, area_under, joint_errors, pck_2d, success_rate
from gmaps.evaluation.of_store import Judged, judge_store
from gmaps.evaluation.protocols import PROTOCOLS, Protocol, get_protocol, protocol_of_place
from gmaps.evaluation.viewpoint import palm_angles, viewpoint_curves

__all__ = [
    "PROTOCOLS",
    "THRESHOLDS_MM",
    "Evaluation",
    "GroundTruth",
    "Judged",
    "Protocol",
    "Table",
    "area_under",
    "evaluate_file",
    "evaluate_joints",
    "get_protocol",
    "joint_errors",
    "judge_store",
    "palm_angles",
    "pck_2d",
    "protocol_of_place",
    "read_angles",
    "read_groundtruth",
    "read_groups",
    "read_table",
    "success_rate",
    "viewpoint_curves",
    "write_table",
]
