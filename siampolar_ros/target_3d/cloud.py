"""Point clouds: as a depth image of the camera that the outlines come from, and written."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from siampolar_model.errors import FrameError
from siampolar_model.geometry.depth import DepthImage

from ..messages.camera_model import CameraModel
from .estimator import Depth
from .frames import Transform

_FLOATS = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}


def depth_from_cloud(
    cloud: PointCloud2,
    camera: CameraModel,
    transform: Transform | None,
    nearest_m: float,
    farthest_m: float,
) -> Depth:
    """The depth of a cloud's points in the camera's image.

    An organised cloud of the image's size, in the camera's frame, is taken as it is: its points
    are those of the pixels. The points of any other cloud are projected, and the nearest one
    counts where several fall on one pixel.

    Args:
        transform: from the cloud's frame to the camera's; None: it is in the camera's.

    Raises:
        FrameError: no float fields x, y, z, or a size that contradicts the data.
    """
    points = _points(cloud)
    if transform is None and points.shape == camera.size[::-1]:
        return Depth(DepthImage(points["z"], 1.0, nearest_m, farthest_m))
    flat = np.stack([points[name].ravel() for name in "xyz"], 1).astype(np.float64)
    if transform is not None:
        flat = transform(flat)
    flat = flat[np.isfinite(flat).all(1)]
    flat = flat[(flat[:, 2] >= max(nearest_m, 1e-3)) & (flat[:, 2] <= farthest_m)]
    width, height = camera.size
    # Beyond the image's corners a distortion model may fold back into the image.
    corners = camera.rays(np.array([[0, 0], [width, 0], [0, height], [width, height]]))
    flat = flat[(np.abs(flat[:, :2]) <= 1.1 * np.abs(corners).max(0) * flat[:, 2:]).all(1)]
    columns, rows = np.floor(camera.pixels(flat)).astype(np.int64).transpose()
    seen = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    depth = np.full((height, width), np.inf, np.float32)
    np.minimum.at(depth, (rows[seen], columns[seen]), flat[seen, 2].astype(np.float32))
    return Depth(DepthImage(depth, 1.0, nearest_m, farthest_m), is_sparse=True)


def _points(cloud: PointCloud2) -> np.ndarray:
    """A view on a cloud with the fields x, y and z, (height, width)."""
    order = ">" if cloud.is_bigendian else "<"
    offsets = {field.name: field for field in cloud.fields}
    kinds, places = [], []
    for name in "xyz":
        field = offsets.get(name)
        if field is None or field.datatype not in _FLOATS:
            names = ", ".join(offsets) or "none"
            raise FrameError(f"a cloud needs float fields x, y and z; this one has {names}")
        kinds.append(order + _FLOATS[field.datatype])
        places.append(field.offset)
    shape = f"cloud of {cloud.width}x{cloud.height} points"
    ends = [place + np.dtype(kind).itemsize for place, kind in zip(places, kinds, strict=True)]
    if max(ends) > cloud.point_step or cloud.row_step < cloud.width * cloud.point_step:
        raise FrameError(
            f"{shape} has a point_step of {cloud.point_step} and a row_step of {cloud.row_step}, "
            "which its fields and its width do not fit"
        )
    data = np.frombuffer(cloud.data, np.uint8)
    if len(data) < cloud.height * cloud.row_step:
        raise FrameError(
            f"{shape} has {len(data)} bytes; it must have {cloud.height * cloud.row_step}"
        )
    dtype = np.dtype(
        {"names": list("xyz"), "formats": kinds, "offsets": places, "itemsize": cloud.point_step}
    )
    return np.ndarray(
        (cloud.height, cloud.width), dtype, data, 0, (cloud.row_step, cloud.point_step)
    )


#: A point of :func:`cloud_message`: metres, colour 0xRRGGBB as the bits of a float, target's id.
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("id", "<u4")])

_FIELDS = [
    PointField(
        name=name,
        offset=int(POINT.fields[name][1]),  # type: ignore[index]
        datatype=PointField.UINT32 if name == "id" else PointField.FLOAT32,
        count=1,
    )
    for name in POINT.names or ()
]


def cloud_message(points: np.ndarray, header: Header) -> Any:
    """A ``sensor_msgs/PointCloud2`` of points (N,) of dtype :data:`POINT`."""
    message = PointCloud2(
        header=header, height=1, width=len(points), fields=_FIELDS, is_dense=True,
        point_step=POINT.itemsize, row_step=POINT.itemsize * len(points),
    )  # fmt: skip
    message.data.frombytes(points.tobytes())
    return message
