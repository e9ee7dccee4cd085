"""What an output of the tracker node is: a topic and how its message is made from one image.

Other packages add outputs through entry points of the group ``siampolar.outputs``; see
docs/extending.md and ``installed_outputs.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile

from siampolar_model.rendering.draw import draw
from siampolar_model.rendering.label_image import label_image
from siampolar_model.results import Target
from siampolar_model.session.session import Targets

from ..messages.camera_model import CameraModel
from ..parameters.settings import OutputSettings
from ..parameters.table import Parameter, Value

RELIABLE = QoSProfile(depth=10)
#: The last message also reaches those who subscribe later.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
#: Large messages: a slow viewer must not hold many of them.
PICTURES = QoSProfile(depth=2)


class Scene:
    """One processed image with its targets, and what several outputs need of it, made once.

    Attributes:
        targets: the image and every target on it, lost ones included. ``targets.image.header`` is
            the header of the camera's message.
        settings: the node's parameters for its own outputs.
        options: the present values of :attr:`Output.parameters` of the installed outputs, by name.
        class_of: the detector's class id of a target; empty if it is unknown.
        drawn: the targets that the overlay shows; all of them if it is not given.
    """

    def __init__(
        self,
        targets: Targets,
        settings: OutputSettings,
        options: Mapping[str, Value],
        class_of: Callable[[int], str],
        camera: Callable[[], CameraModel | None],
        drawn: Sequence[Target] | None = None,
    ) -> None:
        self.targets = targets
        self.settings = settings
        self.options = options
        self.class_of = class_of
        self._camera = camera
        self.drawn = targets.targets if drawn is None else drawn

    @property
    def header(self) -> Any:
        """std_msgs/Header of the image."""
        return self.targets.image.header

    @cached_property
    def camera(self) -> CameraModel | None:
        """The camera that took the image; None without a camera_info that fits the image."""
        return self._camera()

    @cached_property
    def overlay_bgr(self) -> np.ndarray:
        """uint8 (H, W, 3): the image with outlines and labels drawn into it.

        Raises:
            FrameError: the image is compressed and damaged.
        """
        picture = self.targets.image.frame.to_bgr()
        draw(picture, self.drawn)
        return picture

    @cached_property
    def labels(self) -> np.ndarray:
        """uint16 (H, W): see :func:`siampolar_model.rendering.label_image.label_image`."""
        image = self.targets.image
        return label_image(self.targets.targets, image.frame.height, image.frame.width)


class Output(ABC):
    """One topic that the tracker node publishes.

    :meth:`make` is called for an image only while somebody listens to the topic, in the thread of
    the tracker: the next image waits for it.

    Attributes:
        topic: its name, such as ``~/mask``.
        type: class of its messages.
        qos: its quality of service.
        parameters: what can be set about it. The node declares them; the name of each begins with
            the name of the entry point and a dot, such as ``distance.scale``.
        needs_camera: whether :meth:`make` is called only where ``scene.camera`` is known.
    """

    topic: ClassVar[str]
    type: ClassVar[Any]
    qos: ClassVar[QoSProfile] = RELIABLE
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    needs_camera: ClassVar[bool] = False

    @abstractmethod
    def make(self, scene: Scene) -> Any | None:
        """The message for one image; None publishes nothing."""

    def last(self) -> Any | None:
        """A message to publish when the node frees its publishers; None publishes nothing."""
        return None
