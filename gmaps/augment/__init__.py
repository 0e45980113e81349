"""Changes of crops, with cube, joints and maps right. Imports no torch."""

from gmaps.augment.changes import Augment
from gmaps.augment.view import Change

__all__ = ["Augment", "Change"]
