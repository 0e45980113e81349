"""What a hand does not do, bend beyond its limits and pass through itself: penalties for fits and for training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gmaps.nets import quaternions as turns
from gmaps.synth import contact
from gmaps.synth.hand import FAN, LIMITS, THUMB_TURN, THUMB_TURN_PER_LIFT


def limit_penalty(angles: Tensor) -> Tensor:
    """(B,): the sum over angles of the square of what is beyond its limit, degrees^2; 0 within all limits.

    Parameters
    ----------
    angles : (B, 23)
        Degrees, as `gmaps.synth.hand.ANGLES` names them.
    """
    low, high = angles.new_tensor(LIMITS).unbind(1)
    beyond = torch.relu(low - angles) + torch.relu(angles - high)
    return (beyond * beyond).sum(dim=1)


def contact_penalty(joints: Tensor, radii: Tensor) -> Tensor:
    """(B,): the sum over pairs of bones of the square of how deep flesh overlaps beyond what it gives way, mm^2.

    Parameters
    ----------
    joints : (B, 21, 3)
        mm, any axes, in the order of skeleton msra21.
    radii : (B, 21)
        As `gmaps.nets.hand_layer.Hand` has them, mm.
    """
    deep = torch.relu(contact_depth(joints, radii) - contact.SOFT)
    return (deep * deep).sum(dim=1)


def contact_depth(joints: Tensor, radii: Tensor) -> Tensor:
    """(B, P): overlap of the flesh of `gmaps.synth.contact.PAIRS`, mm, negative where there is room.

    The twin of `gmaps.synth.contact.contacts`: bones are capsules that taper like their flesh.
    """
    wrist, index, little = joints[:, 0], joints[:, 1], joints[:, 13]
    heel = wrist + 0.3 * (little - index) + 0.15 * (little - wrist)
    points = torch.cat([joints, heel[:, None]], dim=1)
    begin, end = (torch.from_numpy(k.astype(np.int64)).to(joints.device) for k in (contact.FROM, contact.TO))
    share = joints.new_tensor(contact.START)
    start, stop = points[:, begin], points[:, end]
    start = start + share[:, None] * (stop - start)
    palm = torch.from_numpy(contact.IN_PALM).to(joints.device)
    r_end = radii[:, end]
    r_own = radii[:, torch.where(palm, 0, begin)]
    r_from = torch.where(palm, contact.PALM[0] * r_end, r_own + share * (r_end - r_own))
    r_more = torch.where(palm, contact.PALM[1] * r_end, r_end) - r_from
    i, j = torch.from_numpy(contact.PAIRS.T.copy()).to(joints.device)
    a, u, c, v = start[:, i], (stop - start)[:, i], start[:, j], (stop - start)[:, j]
    s, t = _nearest(a, u, c, v)
    gap = a + s[..., None] * u - c - t[..., None] * v
    # Bones that cross have no distance to have a gradient of.
    distance = (gap * gap).sum(-1).clamp(min=1e-12).sqrt()
    return r_from[:, i] + s * r_more[:, i] + r_from[:, j] + t * r_more[:, j] - distance


def _nearest(a: Tensor, u: Tensor, c: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """`gmaps.synth.contact.nearest`."""
    w = a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    uu, vv = uu.clamp(min=1e-12), vv.clamp(min=1e-12)
    s = ((uv * vw - uw * vv) / torch.maximum(uu * vv - uv * uv, 1e-9 * uu * vv)).clamp(0, 1)
    t = ((uv * s + vw) / vv).clamp(0, 1)
    return ((uv * t - uw) / uu).clamp(0, 1), t


def anatomical_angles(q: Tensor, palm: Tensor) -> Tensor:
    """(B, 23): the angles of `gmaps.synth.hand.ANGLES`, degrees, of bones' axes, whatever moved them.

    Parameters
    ----------
    q : (B, 20, 4)
        Each bone's axes, in the order of `gmaps.synth.hand.BONES`.
    palm : (B, 4)
        The palm's.

    Returns
    -------
    (B, 23)
        What `HandLayer` was given, for its own bones. Where a hand does what this one cannot, a finger that twists,
        the nearest that can be said. A finger that stands at right angles to the palm has no spread: it is 0.
    """
    own = turns.product(turns.inverse(palm)[:, None], q)
    arm = turns.matrix(own[:, 0])
    chain = own[:, 5:].unflatten(1, (5, 3))
    root = turns.matrix(chain[:, :, 0])
    links = turns.matrix(turns.product(turns.inverse(chain[:, :, :-1]), chain[:, :, 1:]))
    bends = torch.atan2(links[..., 2, 1], links[..., 1, 1])  # (B, 5, 2)
    fingers = root[:, :4]
    mcp = torch.atan2(fingers[..., 2, 1], fingers[..., 2, 2])
    cosine = torch.cos(mcp)
    upright = cosine.abs() < 0.05
    side = -torch.atan2(fingers[..., 1, 0], fingers[..., 0, 0]) / torch.where(upright, 1.0, cosine)
    spread = torch.where(upright, torch.zeros_like(side), side - side.new_tensor(np.radians(FAN)))
    thumb = root[:, 4]
    lift = torch.asin(thumb[..., 2, 1].clamp(-1, 1))
    roll = torch.atan2(-thumb[..., 2, 0], thumb[..., 2, 2])
    twist = roll - float(np.radians(THUMB_TURN)) - THUMB_TURN_PER_LIFT * lift
    twist = torch.atan2(torch.sin(twist), torch.cos(twist))
    found = [
        torch.stack([-torch.atan2(arm[..., 2, 1], arm[..., 2, 2]), -torch.atan2(arm[..., 1, 0], arm[..., 0, 0])], 1),
        torch.stack([spread, mcp, bends[:, :4, 0], bends[:, :4, 1]], dim=-1).flatten(1),
        torch.stack([torch.atan2(thumb[..., 0, 1], thumb[..., 1, 1]), lift, twist, *bends[:, 4].unbind(1)], dim=1),
    ]
    return torch.rad2deg(torch.cat(found, dim=1))
