"""An output of the node: where the largest target is."""

from geometry_msgs.msg import Point, PointStamped

from siampolar_model.results import TargetState
from siampolar_ros.interfaces.output import Output, Scene
from siampolar_ros.parameters.table import Parameter


class LargestOutput(Output):
    """The middle of the largest target that is not lost, in pixels; z is its area in px^2."""

    topic, type = "~/largest", PointStamped
    parameters = (
        Parameter("largest.min_area_px", 0.0, "Smaller targets are ignored, px^2.", 0.0, 1e9),
    )

    def make(self, scene: Scene) -> PointStamped | None:
        boxes = [t.box for t in scene.targets.targets if t.state != TargetState.LOST]
        if not boxes:
            return None
        box = max(boxes, key=lambda box: box.width * box.height)
        area = box.width * box.height
        if area < scene.options["largest.min_area_px"]:
            return None
        x, y = box.center_xy
        return PointStamped(header=scene.header, point=Point(x=float(x), y=float(y), z=float(area)))
