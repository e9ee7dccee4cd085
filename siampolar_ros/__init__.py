"""ROS 2 side of siampolar_ros: nodes that translate and schedule; the work is siampolar_model's."""

from pkgutil import extend_path

# The generated siampolar_ros.msg lies in the install tree; without this the source tree hides it.
__path__ = extend_path(__path__, __name__)
