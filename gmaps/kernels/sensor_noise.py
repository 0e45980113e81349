"""What depth cameras do to a rendered image."""

from __future__ import annotations

import numpy as np

from gmaps.kernels._jit import jit
from gmaps.kernels.whole import floor


@jit
def sense_flight(depth, normal, luck, share, seen, noise, step, mixed, edge_loss, loss, jump, reach):
    """Time of flight, on a box around what is seen; see `TimeOfFlight`."""
    rows, cols = depth.shape
    for r in range(rows):
        for c in range(cols):
            z = depth[r, c]
            if z == 0:
                continue
            edge, far = False, z
            for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                i, j = r + dr, c + dc
                other = depth[i, j] if 0 <= i < rows and 0 <= j < cols else z  # the image's border is no edge
                if abs(other - z) > jump:
                    edge = True
                    far = max(far, other if other > 0 else z + np.float32(reach))
            if luck[r, c] < (edge_loss if edge else loss):
                continue
            if edge and luck[r, c] < edge_loss + mixed:
                z = z + share[r, c] * (far - z)
            value = z + noise * (z / 300.0) ** 2 * normal[r, c]
            if step > 0:
                value = np.rint(value / step) * step
            seen[r, c] = max(value, 0.0)


@jit
def sense_pattern(depth, normal, luck, seen, lever, step, noise, jitter, edge_loss, loss, jump):
    """Structured light, on a box around what is seen; see `StructuredLight`. lever = focal length x baseline.

    A column u at depth z is the projector's column u - lever / z. From right to left, what lies right of an earlier
    column of the projector is hidden behind it.
    """
    rows, cols = depth.shape
    for r in range(rows):
        first = np.inf
        for c in range(cols - 1, -1, -1):
            here = depth[r, c]
            hidden = False
            if here > 0:
                column = c - lever / here
                hidden = column > first + 0.5
                first = min(first, column)
            if hidden:
                continue
            i = min(max(r + floor(np.rint(jitter * normal[1, r, c])), 0), rows - 1)
            j = min(max(c + floor(np.rint(jitter * normal[2, r, c])), 0), cols - 1)
            z = depth[i, j]
            if z == 0:
                continue
            edge = here == 0
            for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                k, m = r + dr, c + dc
                other = depth[k, m] if 0 <= k < rows and 0 <= m < cols else here
                edge = edge or abs(other - here) > jump
            if luck[r, c] < (edge_loss if edge else loss):
                continue
            disparity = np.rint((lever / z + noise * normal[0, r, c]) / step) * step
            if disparity > 0:
                seen[r, c] = lever / disparity
