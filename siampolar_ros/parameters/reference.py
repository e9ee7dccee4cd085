"""docs/nodes.md: ``python -m siampolar_ros.parameters.reference > docs/nodes.md``."""

from __future__ import annotations

from ..runtime.environment import share_file
from . import interfaces as interface_table
from . import nodes as parameters
from .table import reference as parameter_reference

_HEAD = """\
# Nodes

Written by `python -m siampolar_ros.parameters.reference` from the tables in
`siampolar_ros/parameters/interfaces.py` and `siampolar_ros/parameters/nodes.py` and from the
message files.

Names are relative to the node's namespace, `~` is the node's name. What is published is made only
while somebody listens. *While unconfigured* means: `ros2 lifecycle set NODE deactivate`, then
`cleanup`.
"""

_NODES = {
    "tracker": "Follows the targets it is given through the images of one camera. A lifecycle "
    "node that configures and activates itself (`autostart`).",
    "video_publisher": "A video file, a folder of images or a camera as a stream. Frame k of a "
    "video is stamped with the time of the start plus k periods and published then.",
    "select_target": "Shows the stream in a window; a dragged box starts a target. Remap `image` "
    "to the tracker's `~/overlay` to see the outlines as well.",
    "first_target": "Starts a target on the first image of a video that stands still, then lets "
    "the video go on.",
}


def reference_page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for node, text in _NODES.items():
        parts.append(f"## {node}\n\n{text}\n")
        parts.append(interface_table.reference(getattr(interface_table, node.upper())))
        parts.append(parameter_reference(getattr(parameters, node.upper())))
    parts.append("## Messages and services\n")
    root = share_file("package.xml").parent
    for path in [*sorted(root.glob("msg/*.msg")), *sorted(root.glob("srv/*.srv"))]:
        parts.append(f"### {path.name}\n\n```\n{path.read_text(encoding='utf-8').strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference_page(), end="")
