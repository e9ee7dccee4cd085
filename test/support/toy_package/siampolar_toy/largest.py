"""An output of the node: where the largest target is."""

from geometry_msgs.msg import Point, PointStamped

from siampolar_model.results import TargetState
from siampolar_ros.interfaces.output import Output, Scene
from siampolar_ros.parameters.table import Parameter

_MIN_AREA = Parameter("largest.min_area_px", 0.0, "Smaller targets are ignored, px^2.", 0.0, 1e9)


class LargestOutput(Output):
    """The middle of the largest target in pixels; z is its area in px^2."""

    topic, type = "~/largest", PointStamped
    parameters = (_MIN_AREA,)

    def make(self, scene: Scene) -> PointStamped | None:
        found = [t.box for t in scene.targets.targets if t.state != TargetState.LOST]
        box = max(found, key=lambda box: box.area, default=None)
        if box is None or box.area < scene.options[_MIN_AREA.name]:
            return None  # nothing is published
        (x, y), z = box.center_xy, box.area
        return PointStamped(header=scene.header, point=Point(x=float(x), y=float(y), z=float(z)))
