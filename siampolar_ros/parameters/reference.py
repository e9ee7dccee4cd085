"""docs/nodes.md: ``python -m siampolar_ros.parameters.reference > docs/nodes.md``."""

from __future__ import annotations

from ..runtime.environment import share_file
from . import interfaces
from .nodes import ConsoleSettings, FirstTargetSettings, Settings, VideoSettings
from .settings import ImageSettings
from .table import parameters_of
from .table import reference as parameter_reference
from .target_3d import Target3dSettings

_HEAD = """\
# Nodes

Written by `python -m siampolar_ros.parameters.reference` from the tables in
`siampolar_ros/parameters/interfaces.py`, the settings in `siampolar_ros/parameters/nodes.py` and
the message files.

Names are relative to the node's namespace, `~` is the node's name. What is published is computed
only while somebody subscribes to it. *While unconfigured* means: `ros2 lifecycle set NODE
deactivate`, then `cleanup`.
"""

#: What is told of each node, its topics and services, and the dataclass of its parameters.
NODES: dict[str, tuple[str, tuple[interfaces.Interface, ...], type]] = {
    "tracker": (
        "Follows the targets it is given through the images of one camera. A lifecycle node that "
        "configures and activates itself (`autostart`).",
        interfaces.TRACKER,
        Settings,
    ),
    "console": (
        "A page in which an operator sees the cameras and starts, draws again and removes targets: "
        "[Console](console.md). Needs the extra `console` (aiohttp).",
        interfaces.CONSOLE,
        ConsoleSettings,
    ),
    "target_3d": (
        "Tells where the tracker's targets are in metres, from aligned depth images, a point cloud "
        "or a known height ([Follow in 3D](follow_in_3d.md)).",
        interfaces.TARGET_3D,
        Target3dSettings,
    ),
    "video_publisher": (
        "Publishes a video file, a folder of images or a camera. Frame k of a video is stamped "
        "with the time of the start plus k periods and published at that time.",
        interfaces.VIDEO_PUBLISHER,
        VideoSettings,
    ),
    "select_target": (
        "Shows the stream in a window; a dragged box starts a target. Remap `image` to the "
        "tracker's `~/overlay` to see the outlines as well.",
        interfaces.SELECT_TARGET,
        ImageSettings,
    ),
    "first_target": (
        "Starts a target on the first image of a video that stands still, then lets the video go "
        "on.",
        interfaces.FIRST_TARGET,
        FirstTargetSettings,
    ),
}


def reference_page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for node, (text, topics_and_services, settings) in NODES.items():
        parts.append(f"## {node}\n\n{text}\n")
        parts.append(interfaces.reference(topics_and_services))
        parts.append(parameter_reference(parameters_of(settings)))
    parts.append("## Messages and services\n")
    root = share_file("package.xml").parent
    for path in [*sorted(root.glob("msg/*.msg")), *sorted(root.glob("srv/*.srv"))]:
        parts.append(f"### {path.name}\n\n```\n{path.read_text(encoding='utf-8').strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference_page(), end="")
